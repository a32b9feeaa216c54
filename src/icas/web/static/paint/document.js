/** A document in the page: label map, class and object of each segment, brushed pixels. */

import { labelsOf, unzipped } from "./codec.js";

/** @typedef {import("./types.js").Box} Box */
/** @typedef {import("./types.js").DocInfo} DocInfo */
/** @typedef {import("./types.js").DocDelta} DocDelta */

/** Difference between the codes of two objects of a class. */
export const OBJECT_STEP = 1 << 16;
/** A pixel that is not brushed. */
export const NO_OVERRIDE = -1;
/** Largest object number. */
const MAX_OBJECTS = 32767;

/** @param {number} code */
export const classOf = (code) => code & 0xffff;
/** @param {number} code */
export const numberOf = (code) => (code > 0 ? (code >> 16) + 1 : 0);
/**
 * @param {number} class_
 * @param {number} number
 */
export const codeOf = (class_, number) => (class_ ? class_ + (number - 1) * OBJECT_STEP : 0);

/**
 * @param {Box | null} a
 * @param {Box | null} b
 * @returns {Box | null}
 */
export function union(a, b) {
  if (!a || !b) return a ?? b;
  return [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])];
}

/**
 * A change that this page makes before the server confirms it.
 * @typedef {object} LocalChange
 * @property {() => Box | null} apply
 * @property {() => Box | null} revert
 * @property {() => [segments: number, pixels: boolean]} size segments it gave another code, and
 *   whether it changed brushed pixels
 */

/**
 * @typedef {object} Decoded a delta whose arrays are unpacked
 * @property {DocDelta} delta
 * @property {Uint16Array | Uint32Array | null} labels
 * @property {Int32Array | null} overrides
 */

/**
 * @param {DocDelta} delta
 * @returns {Promise<Decoded>}
 */
export async function decoded(delta) {
  const { labels, overrides } = delta;
  return {
    delta,
    labels: labels ? labelsOf(await unzipped(labels.data), labels.bits ?? 16) : null,
    overrides: overrides ? new Int32Array(await unzipped(overrides.data)) : null,
  };
}

export class PageDocument {
  /**
   * @param {DocInfo} info
   * @param {Uint16Array | Uint32Array} labels
   * @param {Int32Array} boxes four numbers for each segment
   * @param {Int32Array | null} overrides
   */
  constructor(info, labels, boxes, overrides) {
    this.info = info;
    this.n = info.n;
    this.width = info.width;
    this.height = info.height;
    this.labels = labels;
    this.boxes = boxes;
    /** @type {Int32Array | null} code of each brushed pixel, -1 elsewhere */
    this.overrides = overrides;
    /** @type {Int32Array} code of each segment */
    this.codes = new Int32Array(0);
    this.count = 0;
    this.rev = info.doc_rev;
    this.objects = info.objects;
    this.undo = info.undo;
    this.redo = info.redo;
    this.mark = info.mark;
    this.setCodes(info);
  }

  /** @param {DocInfo} info */
  setCodes(info) {
    this.#grow(info.segments);
    for (let i = 0; i <= info.segments; i++) {
      this.codes[i] = codeOf(info.classes[i] ?? 0, info.numbers?.[i] || 1);
    }
    this.count = info.segments;
  }

  /** @param {number} count segments that there are now */
  #grow(count) {
    if (count < this.codes.length) return;
    const codes = new Int32Array(count + 256);
    codes.set(this.codes);
    this.codes = codes;
    if (this.boxes.length < 4 * codes.length) {
      const boxes = new Int32Array(4 * codes.length);
      boxes.set(this.boxes);
      this.boxes = boxes;
    }
    if (count > 0xffff && this.labels instanceof Uint16Array) this.labels = Uint32Array.from(this.labels);
  }

  /**
   * @param {number} row
   * @param {number} col
   */
  inside(row, col) {
    return row >= 0 && col >= 0 && row < this.height && col < this.width;
  }

  /**
   * Segment at a pixel, 0 on an edge and outside.
   * @param {number} row
   * @param {number} col
   */
  labelAt(row, col) {
    return this.inside(row, col) ? this.labels[row * this.width + col] : 0;
  }

  /**
   * Code at a pixel, 0 where nothing is painted.
   * @param {number} row
   * @param {number} col
   */
  codeAt(row, col) {
    if (!this.inside(row, col)) return 0;
    const at = row * this.width + col;
    const over = this.overrides ? this.overrides[at] : NO_OVERRIDE;
    return over === NO_OVERRIDE ? this.codes[this.labels[at]] : over;
  }

  /**
   * @param {number} segment
   * @returns {Box}
   */
  boxOf(segment) {
    const at = 4 * segment;
    return [this.boxes[at], this.boxes[at + 1], this.boxes[at + 2], this.boxes[at + 3]];
  }

  /**
   * @param {Iterable<number>} segments
   * @returns {Box | null}
   */
  boxOfAll(segments) {
    /** @type {Box | null} */
    let all = null;
    for (const segment of segments) {
      const box = this.boxOf(segment);
      if (box[2] > box[0]) all = union(all, box);
    }
    return all;
  }

  /**
   * Segments on a straight line, each once.
   * @param {number} row0
   * @param {number} col0
   * @param {number} row1
   * @param {number} col1
   * @returns {number[]}
   */
  crossed(row0, col0, row1, col1) {
    const steps = Math.max(Math.abs(row1 - row0), Math.abs(col1 - col0), 1);
    /** @type {Set<number>} */
    const found = new Set();
    for (let i = 0; i <= steps; i++) {
      const row = Math.round(row0 + ((row1 - row0) * i) / steps);
      const col = Math.round(col0 + ((col1 - col0) * i) / steps);
      const segment = this.labelAt(row, col);
      if (segment) found.add(segment);
    }
    return [...found];
  }

  /**
   * Give segments a code, or clear them (0); brushed pixels in them go.
   * @param {number[]} segments
   * @param {number} code
   * @returns {LocalChange}
   */
  filling(segments, code) {
    /** @type {Int32Array} */
    let before = new Int32Array(0);
    /** @type {number[]} */
    let places = [];
    /** @type {number[]} */
    let values = [];
    const box = this.boxOfAll(segments);
    return {
      apply: () => {
        before = Int32Array.from(segments, (segment) => this.codes[segment]);
        for (const segment of segments) this.codes[segment] = code;
        if (this.overrides && box) {
          places = [];
          values = [];
          const chosen = new Set(segments);
          for (let row = box[0]; row < box[2]; row++) {
            for (let at = row * this.width + box[1], end = row * this.width + box[3]; at < end; at++) {
              const over = this.overrides[at];
              if (over === NO_OVERRIDE || !chosen.has(this.labels[at])) continue;
              places.push(at);
              values.push(over);
              this.overrides[at] = NO_OVERRIDE;
            }
          }
        }
        return box;
      },
      revert: () => {
        segments.forEach((segment, i) => {
          this.codes[segment] = before[i];
        });
        const over = this.overrides;
        if (over) places.forEach((at, i) => (over[at] = values[i]));
        return box;
      },
      size: () => [before.filter((old) => old !== code).length, places.length > 0],
    };
  }

  /**
   * A stroke that grows: `extend` draws the next piece; as a change it can be drawn again.
   * @param {number} radius
   * @param {number} code 0 erases
   */
  stroke(radius, code) {
    /** @type {[number, number][]} */
    const points = [];
    /** @type {number[]} */
    let places = [];
    /** @type {number[]} */
    let values = [];
    /** @type {Box | null} */
    let all = null;
    /** @param {number} i index of the point that the disc is moved to */
    const draw = (i) => {
      const to = points[i];
      const box = this.#sweep(points[Math.max(0, i - 1)], to, radius, code, places, values);
      all = union(all, box);
      return box;
    };
    return {
      points,
      /**
       * @param {number} row
       * @param {number} col
       */
      extend: (row, col) => {
        points.push([row, col]);
        return draw(points.length - 1);
      },
      apply: () => {
        places = [];
        values = [];
        for (let i = 0; i < points.length; i++) draw(i);
        return all;
      },
      revert: () => {
        const over = this.overrides;
        if (over) for (let i = places.length - 1; i >= 0; i--) over[places[i]] = values[i];
        return all;
      },
      /** @returns {[segments: number, pixels: boolean]} */
      size: () => [0, places.length > 0],
    };
  }

  /**
   * Brush the pixels within `radius` of the line between two pixels, as the server does.
   * @param {[number, number]} start
   * @param {[number, number]} end
   * @param {number} radius
   * @param {number} code
   * @param {number[]} places gets the pixels that change
   * @param {number[]} values gets what they were
   * @returns {Box | null}
   */
  #sweep(start, end, radius, code, places, values) {
    const top = Math.max(0, Math.min(start[0], end[0]) - radius);
    const bottom = Math.min(this.height, Math.max(start[0], end[0]) + radius + 1);
    const left = Math.max(0, Math.min(start[1], end[1]) - radius);
    const right = Math.min(this.width, Math.max(start[1], end[1]) + radius + 1);
    if (top >= bottom || left >= right) return null;
    this.overrides ??= new Int32Array(this.width * this.height).fill(NO_OVERRIDE);
    const over = this.overrides;
    const alongRow = end[0] - start[0];
    const alongCol = end[1] - start[1];
    const length = Math.max(alongRow ** 2 + alongCol ** 2, 1);
    const limit = radius ** 2;
    for (let row = top; row < bottom; row++) {
      const down = row - start[0];
      for (let col = left; col < right; col++) {
        const across = col - start[1];
        const share = Math.min(1, Math.max(0, (down * alongRow + across * alongCol) / length));
        if ((down - share * alongRow) ** 2 + (across - share * alongCol) ** 2 > limit) continue;
        const at = row * this.width + col;
        if (over[at] === code) continue;
        places.push(at);
        values.push(over[at]);
        over[at] = code;
      }
    }
    return [top, left, bottom, right];
  }

  /**
   * Whether a change that was made here is all that the server changed.
   * @param {LocalChange} local
   * @param {Decoded} decoded
   */
  shows(local, { delta, labels, overrides }) {
    const [segments, pixels] = local.size();
    if (labels || segments !== delta.segments.length || pixels !== (overrides !== null)) return false;
    if (!delta.segments.every(([segment, class_, number]) => this.codes[segment] === codeOf(class_, number || 1))) return false;
    if (!overrides || !delta.overrides) return true;
    const [top, left, bottom, right] = delta.overrides.box;
    for (let row = top, i = 0; row < bottom; row++) {
      for (let at = row * this.width + left, end = row * this.width + right; at < end; at++, i++) {
        if (this.overrides?.[at] !== overrides[i]) return false;
      }
    }
    return true;
  }

  /**
   * Take over what the server changed.
   * @param {Decoded} decoded
   * @returns {Box | null}
   */
  take({ delta, labels, overrides }) {
    for (const [segment, class_, number] of delta.segments ?? []) {
      this.#grow(segment);
      this.codes[segment] = codeOf(class_, number || 1);
      this.count = Math.max(this.count, segment);
    }
    if (delta.count !== undefined) {
      this.#grow(delta.count);
      this.count = delta.count;
    }
    if (labels && delta.labels) this.#takeLabels(delta.labels.box, labels);
    if (overrides && delta.overrides) {
      this.overrides ??= new Int32Array(this.width * this.height).fill(NO_OVERRIDE);
      copyBox(this.overrides, this.width, delta.overrides.box, overrides);
    }
    this.note(delta);
    return delta.box;
  }

  /**
   * Take over what an answer says beside pixels and segments.
   * @param {DocDelta} delta
   */
  note(delta) {
    if (delta.objects) this.objects = delta.objects;
    if (delta.palette) this.info.palette = delta.palette;
    if (delta.undo !== undefined) this.undo = delta.undo;
    if (delta.redo !== undefined) this.redo = delta.redo;
    if (delta.mark !== undefined) this.mark = delta.mark;
    if (delta.doc_rev !== undefined) this.rev = delta.doc_rev;
  }

  /**
   * @param {Box} box
   * @param {Uint16Array | Uint32Array} values
   */
  #takeLabels(box, values) {
    if (values instanceof Uint32Array && this.labels instanceof Uint16Array) {
      this.labels = Uint32Array.from(this.labels);
    }
    copyBox(this.labels, this.width, box, values);
    // a segment that was split keeps its box, which holds after an undo too; new ones get theirs
    const width = box[3] - box[1];
    for (let row = box[0]; row < box[2]; row++) {
      for (let col = box[1]; col < box[3]; col++) {
        const segment = values[(row - box[0]) * width + col - box[1]];
        if (!segment) continue;
        this.#grow(segment);
        const at = 4 * segment;
        const boxes = this.boxes;
        if (boxes[at + 2] === 0) {
          boxes[at] = row;
          boxes[at + 1] = col;
        }
        boxes[at] = Math.min(boxes[at], row);
        boxes[at + 1] = Math.min(boxes[at + 1], col);
        boxes[at + 2] = Math.max(boxes[at + 2], row + 1);
        boxes[at + 3] = Math.max(boxes[at + 3], col + 1);
      }
    }
  }

  /**
   * Highest number of the objects of a class.
   * @param {number} class_
   */
  highest(class_) {
    let highest = 0;
    for (const one of this.objects) if (one.class === class_) highest = Math.max(highest, one.number);
    return Math.min(highest, MAX_OBJECTS - 1);
  }
}

/**
 * @param {Int32Array | Uint16Array | Uint32Array} whole
 * @param {number} stride
 * @param {Box} box
 * @param {Int32Array | Uint16Array | Uint32Array} part
 */
function copyBox(whole, stride, box, part) {
  const width = box[3] - box[1];
  for (let row = box[0]; row < box[2]; row++) {
    const from = (row - box[0]) * width;
    whole.set(part.subarray(from, from + width), row * stride + box[1]);
  }
}
