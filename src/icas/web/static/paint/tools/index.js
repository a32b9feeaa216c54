/** The tools of the tool bar, in groups. */

import { brushTool } from "./brush.js";
import { Cutter, cutTool } from "./cut.js";
import { fillTool, Growth } from "./fill.js";
import { pipetteTool } from "./pipette.js";
import { promptTool } from "./prompt.js";
import { polygonTool, rectangleTool } from "./shapes.js";

/** @typedef {import("../types.js").Tool} Tool */
/** @typedef {import("../types.js").PaintContext} PaintContext */

/**
 * @param {PaintContext} context
 * @param {() => void} back chooses the tool before
 * @returns {Tool[][]}
 */
export function toolGroups(context, back) {
  const growth = new Growth(context);
  const cutter = new Cutter(context);
  return [
    [fillTool(context, growth, cutter, false), fillTool(context, growth, cutter, true), cutTool(context, cutter)],
    [promptTool(context, "sam"), promptTool(context, "grabcut")],
    [brushTool(context, false), brushTool(context, true), polygonTool(context), rectangleTool(context)],
    [pipetteTool(context, back)],
  ];
}
