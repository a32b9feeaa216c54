/** Worker: the box and the number of pixels of each segment of a label map. */

/**
 * @param {Uint16Array | Uint32Array} labels
 * @param {number} width
 * @param {number} height
 * @param {number} count segments
 * @returns {Int32Array} first row, first column, end row, end column of each segment
 */
export function boxesOf(labels, width, height, count) {
  const boxes = new Int32Array(4 * (count + 1));
  for (let at = 0; at < boxes.length; at += 4) {
    boxes[at] = height;
    boxes[at + 1] = width;
  }
  for (let row = 0, i = 0; row < height; row++) {
    for (let col = 0; col < width; ) {
      const segment = labels[i];
      const first = col;
      do {
        col++;
        i++;
      } while (col < width && labels[i] === segment);
      const at = 4 * segment;
      if (row < boxes[at]) boxes[at] = row;
      if (first < boxes[at + 1]) boxes[at + 1] = first;
      boxes[at + 2] = row + 1;
      if (col > boxes[at + 3]) boxes[at + 3] = col;
    }
  }
  for (let at = 0; at < boxes.length; at += 4) if (!boxes[at + 2]) boxes[at] = boxes[at + 1] = 0;
  return boxes;
}

if (typeof window === "undefined" && typeof postMessage === "function") {
  addEventListener("message", (event) => {
    const { ticket, labels, width, height, count } = event.data;
    const boxes = boxesOf(labels, width, height, count);
    const send = /** @type {(message: object, transfer: Transferable[]) => void} */ (/** @type {unknown} */ (postMessage));
    send({ ticket, labels, boxes }, [labels.buffer, boxes.buffer]);
  });
}
