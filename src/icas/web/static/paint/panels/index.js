/** The panels of the painting page, in order. */

/** @type {import("../types.js").Panel[]} */
export const PANELS = [];
