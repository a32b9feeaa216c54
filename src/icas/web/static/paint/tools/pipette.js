/** Pipette: paint continues with the class and the object under the pointer. */

import { classOf, numberOf } from "../document.js";

/** @typedef {import("../types.js").Tool} Tool */
/** @typedef {import("../types.js").PaintContext} PaintContext */

/**
 * @param {PaintContext} context
 * @param {() => void} done called once something was picked
 * @returns {Tool}
 */
export function pipetteTool({ store, viewer }, done) {
  let code = 0;
  return {
    id: "pipette",
    title: "Pipette",
    icon: "pipette",
    key: "K",
    hint: "Click paint: continue its object. The tool before comes back.",
    cursor: "crosshair",
    down: (hit) => {
      if (hit.button !== 1 && store.pick(hit.row, hit.col)) done();
    },
    move: (hit) => {
      const under = store.doc?.codeAt(hit.row, hit.col) ?? 0;
      if (under === code) return;
      code = under;
      viewer.flash(code > 0 ? classOf(code) : null, numberOf(code));
    },
    leave: () => {
      code = 0;
      viewer.flash(null);
    },
  };
}
