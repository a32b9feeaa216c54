/** The screens, in the order of the navigation. */

import { cluster } from "./cluster.js";
import { clusters } from "./clusters.js";
import { compare } from "./compare.js";
import { exporting } from "./export.js";
import { historyScreen } from "./history.js";
import { nameScreen } from "./name.js";
import { quality } from "./quality.js";
import { questions } from "./questions.js";
import { threshold } from "./threshold.js";

/** @type {import("../types.js").Screen[]} */
export const SCREENS = [
  clusters,
  cluster,
  compare,
  questions,
  nameScreen,
  threshold,
  quality,
  exporting,
  historyScreen,
];
