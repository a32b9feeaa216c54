/** What the person looks at; kept when the page is loaded again. */

import { kept } from "./kept.js";

/**
 * @typedef {object} View
 * @property {string} filter state of the clusters shown, or "all"
 * @property {"doubt" | "size" | "name"} sort
 * @property {string} search
 * @property {number} focus id of the current cluster
 * @property {number} size of the thumbnails of a cluster, in pixels
 */

/** @type {View} */
const DEFAULTS = { filter: "all", sort: "doubt", search: "", focus: -1, size: 152 };

/** `keepView` keeps the view for the next load. */
export const { value: view, keep: keepView } = kept("icas-view", DEFAULTS);

/**
 * Ids of the clusters in the order of the list; the screens step through it.
 * @type {{ids: number[], fresh: boolean}}
 */
export const order = { ids: [], fresh: false };
