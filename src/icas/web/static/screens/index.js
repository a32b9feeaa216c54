/** The screens, in the order of the navigation. */

import { cluster } from "./cluster.js";
import { clusters } from "./clusters.js";
import { compare } from "./compare.js";

/** @type {import("../types.js").Screen[]} */
export const SCREENS = [clusters, cluster, compare];
