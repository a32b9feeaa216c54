/** Which images the strip shows, in which order, and which comes next. */

/** @typedef {import("../types.js").Mark} Mark */
/** @typedef {{files: string[], marks: Mark[], current: number, state: {images: number}}} Source */

/**
 * @typedef {object} MarkLook
 * @property {string} label
 * @property {string} icon
 * @property {string} text what it says about an image
 */

/** @type {Record<Mark, MarkLook>} */
export const MARKS = {
  "": { label: "Untouched", icon: "", text: "not painted" },
  unsaved: { label: "Unsaved", icon: "dot", text: "painted, not saved" },
  unsure: { label: "Unsure", icon: "help", text: "marked as unsure" },
  carried: { label: "Carried", icon: "carried", text: "mask carried from a similar image, not checked" },
  saved: { label: "Done", icon: "check", text: "saved" },
  absent: { label: "Absent", icon: "absent", text: "nothing to paint" },
  unreadable: { label: "Unreadable", icon: "warn", text: "cannot be read" },
};

/** All marks, in the order of the filters. */
export const MARK_NAMES = /** @type {Mark[]} */ (Object.keys(MARKS));

/** The part of the images that the strip shows. */
export class Files {
  /** Images shown, in the order of the strip. */
  shown = new Int32Array(0);
  #places = new Int32Array(0);
  /** @type {string[] | null} */
  #lower = null;
  /** @type {Mark | "all"} */
  filter = "all";
  search = "";
  /** @type {number[] | null} images of the queue, least sure first; null: all images by number */
  queue = null;

  /** @param {Source} source names and marks of the images */
  constructor(source) {
    this.source = source;
  }

  get count() {
    return this.source.state.images;
  }

  /** @param {number} image */
  name(image) {
    return this.source.files[image] ?? `image ${image + 1}`;
  }

  /**
   * @param {number} image
   * @returns {Mark}
   */
  mark(image) {
    return this.source.marks[image] ?? "";
  }

  /** The names have changed. */
  renamed() {
    this.#lower = null;
  }

  /** Number of images of each mark. */
  counts() {
    const counts = /** @type {Record<Mark, number>} */ (Object.fromEntries(MARK_NAMES.map((mark) => [mark, 0])));
    const { marks } = this.source;
    for (let i = 0; i < this.count; i++) counts[marks[i] ?? ""] += 1;
    return counts;
  }

  /** Choose the images that are shown. The open one stays, whatever its mark and name. */
  update() {
    const { marks, current } = this.source;
    const words = this.search.trim().toLowerCase();
    if (words) this.#lower ??= Array.from({ length: this.count }, (_, image) => this.name(image).toLowerCase());
    const from = this.queue;
    const total = from ? from.length : this.count;
    const shown = new Int32Array(total);
    const places = new Int32Array(this.count).fill(-1);
    let count = 0;
    for (let i = 0; i < total; i++) {
      const image = from ? from[i] : i;
      const hit =
        image === current ||
        ((from || this.filter === "all" || (marks[image] ?? "") === this.filter) &&
          (!words || this.#lower?.[image].includes(words)));
      if (!hit) continue;
      places[image] = count;
      shown[count++] = image;
    }
    this.shown = shown.slice(0, count);
    this.#places = places;
  }

  /**
   * Place of an image in the strip; -1: not shown.
   * @param {number} image
   */
  placeOf(image) {
    return this.#places[image] ?? -1;
  }

  /**
   * The image that is a number of places further in the strip; -1: none.
   * @param {number} image
   * @param {number} by
   */
  step(image, by) {
    const place = this.placeOf(image);
    if (place < 0) return this.shown[by > 0 ? 0 : this.shown.length - 1] ?? -1;
    return this.shown[place + by] ?? -1;
  }

  /**
   * The next image with a mark, by number, from the start again after the last; -1: none.
   * @param {number} image
   * @param {Mark} mark
   */
  next(image, mark) {
    for (let i = 1; i < this.count; i++) {
      const other = (image + i) % this.count;
      if (this.mark(other) === mark) return other;
    }
    return -1;
  }

  /** The first image that has the words; the open one may be shown without them. */
  firstHit() {
    const words = this.search.trim().toLowerCase();
    return this.shown.find((image) => this.#lower?.[image].includes(words) === true) ?? -1;
  }
}
