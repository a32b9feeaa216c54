/** From the review to the painting of one of its images, and back. */

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./decide.js").Action} Action */

const PLACE = "icas-review-place";

/**
 * Open an image in the painting page, which leads back to where the review is now.
 * @param {Store} store
 * @param {number | undefined} image
 */
export function paint(store, image) {
  const address = store.state.paint;
  if (!address || image === undefined) return;
  try {
    sessionStorage.setItem(PLACE, location.hash);
  } catch {
    // storage is blocked: the way back leads to the clusters
  }
  location.href = `${address}#/${image}`;
}

/** Where the review was left: the hash of its address. */
export function reviewPlace() {
  try {
    return sessionStorage.getItem(PLACE) ?? "";
  } catch {
    return "";
  }
}

/**
 * The action that paints an image; none where the server cannot paint.
 * @param {Store} store
 * @param {string} text what it does, for the help
 * @param {() => number | undefined} image
 * @returns {Action[]}
 */
export function paintAction(store, text, image) {
  if (!store.state.paint) return [];
  return [{ key: "P", label: "Paint", icon: "paint", text, run: () => paint(store, image()) }];
}
