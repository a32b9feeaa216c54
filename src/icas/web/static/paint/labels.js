/** Drawing of label maps: paint, borders and highlights as pixels of a tile, at any scale. */

import { classOf, NO_OVERRIDE, numberOf } from "./document.js";

/** @typedef {import("./types.js").PaintClass} PaintClass */
/** @typedef {import("./document.js").PageDocument} PageDocument */

/**
 * @typedef {object} Look
 * @property {number} opacity of the paint, 0 to 1
 * @property {number} border opacity of the borders of segments, 0: none
 * @property {[string, string]} colors of the borders, on dark and on bright pixels
 * @property {Bright} bright
 * @property {Set<number>} hidden codes of objects that are not drawn
 * @property {boolean} mosaic segments in colours of their own
 * @property {Map<number, {fill: number, line: number}>} paints colours by code, filled as needed
 * @property {PaintClass[]} classes
 */

/**
 * Where an image is bright, on a coarse grid.
 * @typedef {object} Bright
 * @property {Uint8Array} map 1 for bright
 * @property {number} width
 * @property {number} height
 */

/** Luma from which borders are dark. */
const BRIGHT = 120;
/** Share of white, or of black if negative, in the colours of the objects 1, 2, 3, … by turns. */
const SHADES = [0, 0.3, -0.3, 0.15, -0.15];
const BORDER_SHARE = 0.65;
const LEAST_SHARE = 0.3;
/** Side of a segment on the screen from which its borders have their full opacity, and none. */
const WIDE_SEGMENT = 18;
const NARROW_SEGMENT = 3.5;

/**
 * @param {string} color "#rrggbb"
 * @returns {[number, number, number]}
 */
export function rgbOf(color) {
  const value = parseInt(color.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/**
 * The colour of an object of a class.
 * @param {string} color of the class
 * @param {number} number of the object
 * @returns {[number, number, number]}
 */
export function shade(color, number) {
  const share = SHADES[(Math.max(number, 1) - 1) % SHADES.length];
  const target = share > 0 ? 255 : 0;
  const [red, green, blue] = rgbOf(color).map((value) => Math.round(value + Math.abs(share) * (target - value)));
  return [red, green, blue];
}

/**
 * @param {ImageData} image a small copy
 * @returns {Bright}
 */
export function brightOf({ data, width, height }) {
  const map = new Uint8Array(width * height);
  for (let i = 0; i < map.length; i++) {
    const at = 4 * i;
    map[i] = 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2] >= BRIGHT ? 1 : 0;
  }
  return { map, width, height };
}

/**
 * A pixel of ImageData.
 * @param {[number, number, number]} rgb
 * @param {number} alpha 0 to 1
 */
function pixel([red, green, blue], alpha) {
  return ((Math.round(255 * alpha) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/**
 * Opacity of the borders where a segment has this many pixels on the screen on average.
 * @param {number} side of such a segment
 */
export function borderShare(side) {
  if (side < NARROW_SEGMENT) return 0;
  const fade = Math.min(1, (side - NARROW_SEGMENT) / NARROW_SEGMENT);
  return fade * BORDER_SHARE * Math.min(1, Math.max(LEAST_SHARE, side / WIDE_SEGMENT));
}

/**
 * Colours of the paint of a code.
 * @param {Look} look
 * @param {number} code
 */
function paintOf(look, code) {
  const known = look.paints.get(code);
  if (known) return known;
  const one = look.classes.find(({ number }) => number === classOf(code));
  const rgb = one && !one.hidden && !look.hidden.has(code) ? shade(one.color, numberOf(code)) : null;
  const paint = rgb ? { fill: pixel(rgb, look.opacity), line: pixel(rgb, 1) } : { fill: 0, line: 0 };
  look.paints.set(code, paint);
  return paint;
}

/**
 * A grid of image pixels that stand for the pixels of a part of a level.
 * @param {number} first pixel of the level
 * @param {number} count
 * @param {number} scale pixels of the level for each pixel of the image
 * @param {number} size of the image
 * @returns {Int32Array} one more than `count`, for the neighbours
 */
export function gridOf(first, count, scale, size) {
  const grid = new Int32Array(count + 1);
  for (let i = 0; i <= count; i++) {
    grid[i] = Math.min(size - 1, Math.max(0, Math.floor((first + i + 0.5) / scale)));
  }
  return grid;
}

let labelRow = new Int32Array(0);
let codeRow = new Int32Array(0);
let nextLabels = new Int32Array(0);
let nextCodes = new Int32Array(0);

/**
 * @param {PageDocument} doc
 * @param {number} row
 * @param {Int32Array} cols
 * @param {Int32Array} labels
 * @param {Int32Array} codes
 */
function readRow(doc, row, cols, labels, codes) {
  const start = row * doc.width;
  const from = doc.labels;
  const table = doc.codes;
  const over = doc.overrides;
  if (over) {
    for (let i = 0; i < cols.length; i++) {
      const at = start + cols[i];
      const label = from[at];
      labels[i] = label;
      codes[i] = over[at] === NO_OVERRIDE ? table[label] : over[at];
    }
  } else {
    for (let i = 0; i < cols.length; i++) {
      const label = from[start + cols[i]];
      labels[i] = label;
      codes[i] = table[label];
    }
  }
}

/** @param {number} label */
function mottled(label) {
  const hash = Math.imul(label, 2654435761) >>> 0;
  return (0x99000000 | (hash & 0xffffff)) >>> 0;
}

/**
 * Draw paint and borders.
 * @param {Uint32Array} out `(cols.length - 1) * (rows.length - 1)` pixels
 * @param {PageDocument} doc
 * @param {Int32Array} cols as of `gridOf`
 * @param {Int32Array} rows
 * @param {Look} look
 */
export function drawLabels(out, doc, cols, rows, look) {
  const width = cols.length - 1;
  const height = rows.length - 1;
  if (labelRow.length < cols.length) {
    labelRow = new Int32Array(cols.length);
    codeRow = new Int32Array(cols.length);
    nextLabels = new Int32Array(cols.length);
    nextCodes = new Int32Array(cols.length);
  }
  const lines = look.colors.map((color) => (look.border > 0 ? pixel(rgbOf(color), look.border) : 0));
  const { map, width: mapWidth, height: mapHeight } = look.bright;
  const across = mapWidth / doc.width;
  const down = mapHeight / doc.height;
  let lastCode = -2;
  let fill = 0;
  let line = 0;
  readRow(doc, rows[0], cols, nextLabels, nextCodes);
  for (let y = 0; y < height; y++) {
    [labelRow, nextLabels] = [nextLabels, labelRow];
    [codeRow, nextCodes] = [nextCodes, codeRow];
    readRow(doc, rows[y + 1], cols, nextLabels, nextCodes);
    const start = y * width;
    const mapRow = mapWidth * Math.floor(rows[y] * down);
    for (let x = 0; x < width; x++) {
      const label = labelRow[x];
      const code = codeRow[x];
      if (code !== lastCode) {
        lastCode = code;
        if (code > 0) ({ fill, line } = paintOf(look, code));
        else fill = line = 0;
      }
      let value = fill;
      if (look.mosaic) value = code > 0 ? (fill | 0xc0000000) >>> 0 : label ? mottled(label) : 0;
      const right = codeRow[x + 1];
      const below = nextCodes[x];
      if (code !== right || code !== below) {
        if (line) value = line;
        else {
          const other = code !== right ? right : below;
          value = (other > 0 ? paintOf(look, other).line : 0) || value;
        }
      } else if (label === 0 || label !== labelRow[x + 1] || label !== nextLabels[x]) {
        const border = lines[map[mapRow + Math.floor(cols[x] * across)]];
        if (border) value = value ? mix(value, border) : border;
      }
      out[start + x] = value;
    }
  }
}

/** @type {Map<number, number>} */
const mixed = new Map();

/**
 * A border over paint, as one pixel.
 * @param {number} below
 * @param {number} above
 */
function mix(below, above) {
  const key = below * 2 ** 21 + (above >>> 11);
  const known = mixed.get(key);
  if (known !== undefined) return known;
  const alphaAbove = ((above >>> 24) / 255) * 0.6;
  const alphaBelow = (below >>> 24) / 255;
  const alpha = alphaAbove + alphaBelow * (1 - alphaAbove);
  let value = Math.round(255 * alpha) << 24;
  for (const shift of [0, 8, 16]) {
    const a = (above >>> shift) & 255;
    const b = (below >>> shift) & 255;
    value |= Math.round((a * alphaAbove + b * alphaBelow * (1 - alphaAbove)) / (alpha || 1)) << shift;
  }
  value >>>= 0;
  if (mixed.size > 1000) mixed.clear();
  mixed.set(key, value);
  return value;
}

/**
 * Pixels whose label is chosen, or whose code is, with a margin of one pixel around.
 * @param {PageDocument} doc
 * @param {Int32Array} cols
 * @param {Int32Array} rows
 * @param {Uint8Array | null} segments 1 for chosen segments
 * @param {number} code where `segments` is null; below 0: all objects of the class -code
 * @returns {Uint8Array} `(cols.length + 1) * (rows.length + 1)`
 */
export function chosenPixels(doc, cols, rows, segments, code = 0) {
  const width = cols.length - 1;
  const height = rows.length - 1;
  const stride = width + 2;
  const chosen = new Uint8Array(stride * (height + 2));
  const { labels, codes, overrides } = doc;
  for (let y = 0; y < height; y++) {
    const start = rows[y] * doc.width;
    let at = (y + 1) * stride + 1;
    if (segments) {
      for (let x = 0; x < width; x++) chosen[at++] = segments[labels[start + cols[x]]];
    } else {
      for (let x = 0; x < width; x++) {
        const place = start + cols[x];
        const over = overrides ? overrides[place] : NO_OVERRIDE;
        const here = over === NO_OVERRIDE ? codes[labels[place]] : over;
        chosen[at++] = here === code || (code < 0 && classOf(here) === -code && here > 0) ? 1 : 0;
      }
    }
  }
  return chosen;
}

/**
 * Draw chosen pixels with an outline that is seen on any image: white inside, black around.
 * @param {Uint32Array} out `width * height` pixels
 * @param {Uint8Array} chosen with a margin, as of `chosenPixels`
 * @param {number} width
 * @param {number} height
 * @param {string} color
 * @param {number} opacity
 * @param {number} [strength] of the outline
 */
export function drawChosen(out, chosen, width, height, color, opacity, strength = 1) {
  const fill = pixel(rgbOf(color), opacity);
  const inner = pixel([255, 255, 255], strength);
  const outer = pixel([0, 0, 0], 0.65 * strength);
  const stride = width + 2;
  for (let y = 0; y < height; y++) {
    let at = (y + 1) * stride + 1;
    const start = y * width;
    for (let x = 0; x < width; x++, at++) {
      const around = chosen[at - 1] + chosen[at + 1] + chosen[at - stride] + chosen[at + stride];
      if (chosen[at]) out[start + x] = around < 4 ? inner : fill;
      else out[start + x] = around ? outer : 0;
    }
  }
}
