/** The help: what the mouse and the keys do, first by tool. */

import { keyTable } from "../../keys.js";
import { h, icon, kbd } from "../../ui.js";

/** @typedef {import("../types.js").PaintContext} PaintContext */
/** @typedef {import("../types.js").Tool} Tool */

/** @param {PaintContext} context */
export function openHelp({ keys, tools }) {
  void keys.help(new Map(tools.map((tool) => [tool.title, section(tool)])));
}

/** @param {Tool} tool */
function section(tool) {
  const why = tool.missing?.() ?? "";
  const bindings = (tool.keys ?? []).filter((binding) => binding.text);
  return h(
    "section",
    { class: "help-tool" },
    h("h3", {}, icon(tool.icon), h("span", {}, tool.title), kbd(`Shift+${tool.key}`)),
    h("p", {}, why || tool.hint),
    bindings.length > 0 && keyTable(bindings),
  );
}
