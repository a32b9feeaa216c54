/** Worker: loads an image and makes smaller copies of it, each half the size of the one before. */

/**
 * @param {string} url
 * @param {[number, number][]} levels width and height of each level
 * @returns {Promise<ImageBitmap[]>}
 */
async function load(url, levels) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  const bitmaps = [await createImageBitmap(await answer.blob(), { colorSpaceConversion: "none" })];
  for (const [width, height] of levels.slice(1)) {
    const last = bitmaps[bitmaps.length - 1];
    bitmaps.push(await createImageBitmap(last, { resizeWidth: width, resizeHeight: height, resizeQuality: "medium" }));
  }
  return bitmaps;
}

if (typeof window === "undefined" && typeof postMessage === "function") {
  const send = /** @type {(message: object, transfer?: Transferable[]) => void} */ (/** @type {unknown} */ (postMessage));
  addEventListener("message", (event) => {
    const { ticket, url, levels } = event.data;
    load(url, levels).then(
      (bitmaps) => send({ ticket, bitmaps }, bitmaps),
      (error) => send({ ticket, error: String(error?.message ?? error) }),
    );
  });
}

export {};
