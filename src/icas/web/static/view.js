/** What the person looks at; kept when the page is loaded again. */

const PLACE = "icas-view";

/**
 * @typedef {object} View
 * @property {string} filter state of the clusters shown, or "all"
 * @property {"doubt" | "size" | "name"} sort
 * @property {string} search
 * @property {number} focus id of the current cluster
 * @property {number} size of the thumbnails of a cluster, in pixels
 */

/** @type {View} */
export const view = { filter: "all", sort: "doubt", search: "", focus: -1, size: 152 };

/**
 * Ids of the clusters in the order of the list; the screens step through it.
 * @type {{ids: number[], fresh: boolean}}
 */
export const order = { ids: [], fresh: false };

try {
  Object.assign(view, JSON.parse(sessionStorage.getItem(PLACE) ?? "{}"));
} catch {
  // storage is blocked or damaged: the defaults hold
}

let waiting = 0;

/** Keep the view for the next load. */
export function keepView() {
  if (!waiting) waiting = setTimeout(write, 200);
}

function write() {
  clearTimeout(waiting);
  waiting = 0;
  try {
    sessionStorage.setItem(PLACE, JSON.stringify(view));
  } catch {
    // storage is blocked: the view holds until the page closes
  }
}

addEventListener("pagehide", write);
