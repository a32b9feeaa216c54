/** The screens, in the order of the navigation. */

/** @type {import("../types.js").Screen[]} */
export const SCREENS = [];
