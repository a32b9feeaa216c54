/** The panels of the painting page, in order. */

import { buildActions } from "./actions.js";
import { buildClasses } from "./classes.js";
import { buildObjects } from "./objects.js";
import { buildQueue } from "./queue.js";
import { buildStrip } from "./strip.js";

/** @type {import("./strip.js").Strip | null} */
let strip = null;
/** @type {import("./queue.js").Queue | null} */
let queue = null;

/** @type {import("../types.js").Panel[]} */
export const PANELS = [
  { id: "actions", title: "Saving and help", slot: "header", mount: (root, context) => buildActions(root, context, () => queue, () => strip) },
  { id: "classes", title: "Classes", slot: "right", mount: buildClasses },
  { id: "objects", title: "Objects", slot: "right", mount: buildObjects },
  {
    id: "queue",
    title: "Carried masks",
    slot: "bottom",
    mount(root, context) {
      queue = buildQueue(root, context, () => strip);
    },
  },
  {
    id: "files",
    title: "Images",
    slot: "bottom",
    mount(root, context) {
      strip = buildStrip(root, context);
    },
  },
];
