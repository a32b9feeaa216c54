/** Which clusters are listed, in which order, and which comes next. */

import { order, view } from "./view.js";

/** @typedef {import("./types.js").Cluster} Cluster */
/** @typedef {import("./store.js").Store} Store */

/** @type {[string, string][]} */
export const FILTERS = [
  ["all", "All"],
  ["untouched", "Untouched"],
  ["doubtful", "Doubtful"],
  ["named", "Named"],
  ["done", "Done"],
];

/** @type {Record<string, (a: Cluster, b: Cluster) => number>} */
const SORTS = {
  doubt: (a, b) => b.doubt - a.doubt || b.members.length - a.members.length || a.id - b.id,
  size: (a, b) => b.members.length - a.members.length || a.id - b.id,
  name: (a, b) => compareNames(a.name, b.name) || b.members.length - a.members.length || a.id - b.id,
};

/**
 * Named clusters first, in alphabetical order.
 * @param {string | null} a
 * @param {string | null} b
 */
function compareNames(a, b) {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  return a < b ? -1 : 1;
}

/** @param {Cluster} cluster */
export function title(cluster) {
  return cluster.name ?? `Cluster ${cluster.id}`;
}

/** @param {Cluster} cluster */
export function isOpen(cluster) {
  return cluster.state === "untouched" || cluster.state === "doubtful";
}

/**
 * @param {Store} store
 * @returns {(cluster: Cluster) => boolean}
 */
function wanted(store) {
  const words = view.search.trim().toLowerCase();
  /** @type {Set<number> | null} */
  let hits = null;
  if (words) {
    hits = new Set();
    store.images.files.forEach((file, image) => {
      const home = file.toLowerCase().includes(words) ? store.clusterOf(image) : undefined;
      if (home) hits?.add(home.id);
    });
  }
  return (cluster) =>
    (view.filter === "all" || cluster.state === view.filter) &&
    (hits === null || hits.has(cluster.id) || title(cluster).toLowerCase().includes(words));
}

/**
 * Sort the list afresh: after a change of filter, sort or search.
 * @param {Store} store
 */
export function sortClusters(store) {
  const keep = wanted(store);
  order.ids = [...store.clusters.values()].filter(keep).sort(SORTS[view.sort] ?? SORTS.doubt).map((one) => one.id);
  order.fresh = true;
}

/**
 * Keep the order of the list after commands; new clusters come after the current one.
 * @param {Store} store
 */
export function updateOrder(store) {
  if (!order.fresh) return sortClusters(store);
  const keep = wanted(store);
  const listed = new Set(order.ids);
  const at = order.ids.indexOf(view.focus);
  const fresh = [...store.clusters.values()]
    .filter((cluster) => !listed.has(cluster.id) && keep(cluster))
    .sort(SORTS[view.sort] ?? SORTS.doubt)
    .map((cluster) => cluster.id);
  /** @param {number} id */
  const stays = (id) => {
    const cluster = store.clusters.get(id);
    return cluster !== undefined && keep(cluster);
  };
  const before = order.ids.slice(0, at + 1).filter(stays);
  order.ids = [...before, ...fresh, ...order.ids.slice(at + 1).filter(stays)];
}

/**
 * The cluster that comes after others in the list.
 * @param {Store} store
 * @param {number[]} done ids just decided
 * @param {boolean} [open] skip clusters that are decided
 * @returns {number} -1: none
 */
export function nextAfter(store, done, open = false) {
  const passed = new Set(done);
  const last = Math.max(-1, ...done.map((id) => order.ids.indexOf(id)));
  const ids = [...order.ids.slice(last + 1), ...order.ids.slice(0, last + 1).reverse()];
  const fits = ids.find((id) => {
    const cluster = store.clusters.get(id);
    return cluster && !passed.has(id) && (!open || isOpen(cluster));
  });
  return fits ?? -1;
}

/**
 * The next doubtful cluster of the list, around its end.
 * @param {Store} store
 * @returns {number} -1: none
 */
export function nextDoubtful(store) {
  const at = order.ids.indexOf(view.focus);
  const ids = [...order.ids.slice(at + 1), ...order.ids.slice(0, Math.max(at, 0))];
  return ids.find((id) => store.clusters.get(id)?.state === "doubtful") ?? -1;
}

const MOST = 200; // images sent to the server
const AT_ONCE = 20_000; // images up to which the server compares them unasked

/**
 * @typedef {object} Near
 * @property {Cluster | null} cluster null: an outlier
 * @property {number} image the most similar image
 * @property {number} similarity
 */

/**
 * The clusters and outliers that are most similar to some images.
 *
 * The server knows more than the links of the forest, once it has compared the images.
 * @param {Store} store
 * @param {number[]} images
 * @param {number} most
 * @param {boolean} unasked no person waits for it: large sets are left alone
 * @returns {Promise<{rows: Near[], wait: boolean}>} wait: the server still compares
 */
export async function nearest(store, images, most, unasked = false) {
  let wait = false;
  if (unasked && store.state.run.images > AT_ONCE) {
    return { rows: await linked(store, images, most), wait };
  }
  try {
    const answer = await store.get(`near?images=${images.slice(0, MOST).join(",")}&count=${most}`);
    wait = Boolean(answer.wait);
    if (answer.rows.length) {
      /** @type {{image: number, similarity: number}[]} */
      const rows = answer.rows;
      return { rows: rows.map((row) => ({ ...row, cluster: store.clusterOf(row.image) ?? null })), wait };
    }
  } catch {
    // the images cannot be compared: the links of the run are left
  }
  return { rows: await linked(store, images, most), wait };
}

/**
 * Clusters and outliers that the strongest links of the forest join to some images.
 * @param {Store} store
 * @param {number[]} images
 * @param {number} most
 * @returns {Promise<Near[]>}
 */
async function linked(store, images, most) {
  const forest = await store.forest();
  const inside = new Set(images);
  /** @type {Set<number>} */
  const seen = new Set();
  const found = [];
  for (let i = 0; i < forest.a.length && found.length < most; i++) {
    const a = inside.has(forest.a[i]);
    if (a === inside.has(forest.b[i])) continue;
    const image = a ? forest.b[i] : forest.a[i];
    const cluster = store.clusterOf(image) ?? null;
    const key = cluster ? cluster.id : -1 - image;
    if (seen.has(key) || (cluster && cluster.members.some((one) => inside.has(one)))) continue;
    seen.add(key);
    found.push({ cluster, image, similarity: forest.similarity[i] });
  }
  return found;
}
