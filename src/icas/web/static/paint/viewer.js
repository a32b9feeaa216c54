/** The canvas: image, paint and borders in cached tiles; zoom, pan, pointer events for the tools. */

import { codeOf, union } from "./document.js";
import { newCanvas } from "./images.js";
import { borderShare, brightOf, chosenPixels, drawChosen, drawLabels, gridOf } from "./labels.js";

/** @typedef {import("./types.js").Box} Box */
/** @typedef {import("./types.js").Hit} Hit */
/** @typedef {import("./types.js").Tool} Tool */
/** @typedef {import("./store.js").PaintStore} PaintStore */
/** @typedef {import("./document.js").PageDocument} PageDocument */
/** @typedef {import("./images.js").ImageSource} ImageSource */

const TILE = 512;
/** Boxes of a tile that are drawn one by one. */
const MOST_STALE = 12;
/** Tiles that are kept beside those in view. */
const SPARE_TILES = 72;
/** Milliseconds of a frame for new tiles while something moves, and else. */
const BUDGET_MOVING = 5;
const BUDGET = 10;
const LARGEST_PIXEL = 40;
/** Beyond this level enlarged pixels are squares. */
const SMOOTH_LEVEL = -2;
/** A level is used up to this share of its own size. */
const MOST_ENLARGED = 1.2;
const LEAST_LEVEL = -4;
/** CSS pixels of a drag before it counts. */
const DRAG = 4;
const DOUBLE_CLICK = 350;
/** Pixels of the copy of an image on which the colour of borders depends. */
const BRIGHT_PIXELS = 300_000;

/**
 * @typedef {object} Tile
 * @property {HTMLCanvasElement} canvas
 * @property {CanvasRenderingContext2D} draw
 * @property {number} level
 * @property {number} row
 * @property {number} col
 * @property {number} look number of the look that it was drawn with
 * @property {Box[]} stale boxes of the image that changed
 * @property {boolean} whole whether the image was there
 *
 * @typedef {object} Highlight pixels drawn over the image
 * @property {HTMLCanvasElement} canvas
 * @property {number} left in pixels of the image
 * @property {number} top
 * @property {number} scale pixels for each pixel of the image
 * @property {number} width
 * @property {number} height
 * @property {string} key what it shows
 * @property {boolean} clipped
 */

/**
 * Events of the viewer: `view` (moved or zoomed), `pointer` (detail: row, col, or null).
 */
export class Viewer extends EventTarget {
  /** CSS pixels for each pixel of the image. */
  scale = 1;
  /** Row and column of the image at the upper left corner of the canvas. */
  top = 0;
  left = 0;
  width = 1;
  height = 1;
  /** @type {Tool | null} */
  #tool = null;
  /** @type {Map<string, Tile>} */
  #tiles = new Map();
  #look = 0;
  /** @type {Map<number, {fill: number, line: number}>} */
  #paints = new Map();
  #frame = 0;
  #baseChanged = true;
  #overChanged = true;
  #ratio = 1;
  #moving = 0;
  /** Whether the whole image is shown, so that it stays so when the window changes. */
  #fitted = true;
  /** @type {Hit | null} */
  #last = null;
  /** @type {Map<number, {x: number, y: number}>} */
  #touches = new Map();
  /** @type {{x: number, y: number, moved: boolean, button: number} | null} */
  #pan = null;
  /** @type {{distance: number, x: number, y: number} | null} */
  #pinch = null;
  #pressed = -1;
  #space = false;
  #spaceUsed = false;
  #clicked = { time: 0, x: 0, y: 0, button: -1 };
  /** @type {{segments: number[], color: string, more: number[][]} | null} */
  #wanted = null;
  /** @type {Highlight[]} */
  #highlights = [];
  /** Code of the object that is shown, below 0 of a class; 0: none. */
  #flashed = 0;
  /** @type {import("./labels.js").Bright} */
  #bright = { map: new Uint8Array(1), width: 1, height: 1 };
  #measured = false;
  mosaic = false;
  /** Milliseconds that the last frames took, newest last; for benchmarks. */
  timings = /** @type {number[]} */ ([]);
  #scratch = newCanvas(TILE, TILE, { willReadFrequently: true });

  /**
   * @param {HTMLElement} root
   * @param {PaintStore} store
   */
  constructor(root, store) {
    super();
    this.root = root;
    this.store = store;
    this.base = document.createElement("canvas");
    this.base.className = "base";
    this.over = document.createElement("canvas");
    this.over.className = "over";
    this.over.tabIndex = 0;
    this.over.setAttribute("role", "application");
    this.over.setAttribute("aria-label", "Image");
    root.append(this.base, this.over);
    this.baseDraw = /** @type {CanvasRenderingContext2D} */ (this.base.getContext("2d", { alpha: false }));
    this.overDraw = /** @type {CanvasRenderingContext2D} */ (this.over.getContext("2d"));
    new ResizeObserver(() => this.#resize()).observe(root);
    this.#listen();
    store.on("image", () => this.#closed());
    store.on("doc", () => this.#opened());
    store.on("change", ({ box }) => this.#changed(box));
    store.on("state", () => this.restyle());
    const recolor = () => {
      this.#baseChanged = true;
      this.redraw();
    };
    new MutationObserver(recolor).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolor);
    this.#resize();
  }

  get doc() {
    return this.store.doc;
  }

  /** @type {Tool | null} */
  get tool() {
    return this.#tool;
  }

  set tool(tool) {
    this.cancel();
    this.#tool = tool;
    this.over.style.cursor = tool?.cursor ?? "default";
    this.highlight([], "");
    this.redraw();
    if (this.#last) this.#tool?.move?.({ ...this.#last, button: -1 });
  }

  /** Row, column and buttons of the last pointer event. */
  get pointer() {
    return this.#last;
  }

  // --- the image

  #closed() {
    this.cancel();
    this.#highlights = [];
    this.#wanted = null;
    this.#baseChanged = true;
    this.redraw();
  }

  #opened() {
    const { doc, source } = this.store;
    if (!doc || !source) return;
    this.#tiles.clear();
    this.#paints.clear();
    this.#flashed = 0;
    this.#measure(doc, source);
    source.onLoad((level, rect) => this.#loaded(level, rect));
    const zoom = this.store.view.zoom;
    if (zoom && zoom[0] === doc.n) {
      this.#fitted = false;
      this.scale = zoom[1];
      this.top = zoom[2] - this.height / 2 / this.scale;
      this.left = zoom[3] - this.width / 2 / this.scale;
      this.#clamp();
    } else this.fit();
    this.#moved();
    if (this.#last) this.#tool?.move?.({ ...this.#hitAt(this.#last.x, this.#last.y), button: -1 });
  }

  /**
   * Find out where the image is bright, on a small copy.
   * @param {PageDocument} doc
   * @param {ImageSource} source
   */
  #measure(doc, source) {
    const level = source.levels.findIndex(([width, height]) => width * height <= BRIGHT_PIXELS);
    const used = level < 0 ? source.levels.length - 1 : level;
    const [width, height] = source.levels[used];
    const [, draw] = newCanvas(width, height, { willReadFrequently: true });
    const whole = source.draw(draw, used, [0, 0, width, height], [0, 0, width, height]);
    this.#bright = brightOf(draw.getImageData(0, 0, width, height));
    this.#measured = whole;
  }

  /**
   * A part of the image came from the server.
   * @param {number} level
   * @param {[number, number, number, number]} rect
   */
  #loaded(level, rect) {
    const doc = this.doc;
    if (!doc) return;
    if (!this.#measured && this.store.source) {
      this.#measure(doc, this.store.source);
      if (this.#measured) this.restyle();
    }
    const share = doc.width / (this.store.source?.levels[level]?.[0] ?? doc.width);
    const [x, y, width, height] = rect.map((value) => value * share);
    for (const tile of this.#tiles.values()) {
      if (tile.whole) continue;
      const box = this.#boxOf(tile);
      if (box[0] < y + height && box[2] > y && box[1] < x + width && box[3] > x) tile.look = -1;
    }
    this.#baseChanged = true;
    this.redraw();
  }

  /** @param {Box | null} box that changed */
  #changed(box) {
    if (!box) return;
    for (const tile of this.#tiles.values()) {
      const at = this.#boxOf(tile);
      // a border belongs to the pixel on its upper left
      if (at[0] >= box[2] || at[2] < box[0] || at[1] >= box[3] || at[3] < box[1]) continue;
      tile.stale = tile.stale.length < MOST_STALE ? [...tile.stale, box] : [tile.stale.reduce((all, one) => union(all, one) ?? one, box)];
    }
    this.#baseChanged = true;
    this.#highlights = this.#highlights.filter((one) => !one.key.startsWith("code"));
    this.redraw();
  }

  /** Draw all tiles again: colours, opacity or borders changed. */
  restyle() {
    this.#look += 1;
    this.#paints.clear();
    this.#baseChanged = true;
    this.redraw();
  }

  // --- the view

  #resize() {
    const { clientWidth, clientHeight } = this.root;
    const ratio = Math.min(2, devicePixelRatio || 1);
    const row = this.top + this.height / 2 / this.scale;
    const col = this.left + this.width / 2 / this.scale;
    this.width = Math.max(1, clientWidth);
    this.height = Math.max(1, clientHeight);
    this.#ratio = ratio;
    for (const canvas of [this.base, this.over]) {
      canvas.width = Math.round(this.width * ratio);
      canvas.height = Math.round(this.height * ratio);
    }
    if (this.doc) {
      if (this.#fitted) this.fit();
      else {
        this.top = row - this.height / 2 / this.scale;
        this.left = col - this.width / 2 / this.scale;
        this.#clamp();
      }
    }
    this.#moved();
    this.#draw(); // at once: the canvas is empty now
  }

  /** Scale at which the whole image is shown. */
  get fitScale() {
    const doc = this.doc;
    if (!doc) return 1;
    const margin = 24;
    return Math.min((this.width - margin) / doc.width, (this.height - margin) / doc.height, LARGEST_PIXEL);
  }

  /** Show the whole image. */
  fit() {
    const doc = this.doc;
    if (!doc) return;
    this.#fitted = true;
    this.scale = Math.max(this.fitScale, 1e-4);
    this.top = (doc.height - this.height / this.scale) / 2;
    this.left = (doc.width - this.width / this.scale) / 2;
    this.#moved();
  }

  /**
   * Zoom by a factor; the image under (x, y) stays there.
   * @param {number} factor
   * @param {number} [x] CSS pixels of the canvas; default the middle
   * @param {number} [y]
   */
  zoom(factor, x = this.width / 2, y = this.height / 2) {
    if (!this.doc) return;
    const least = Math.min(this.fitScale, 1) / 2;
    const scale = Math.min(Math.max(this.scale * factor, least), Math.max(LARGEST_PIXEL, this.fitScale));
    this.left += x / this.scale - x / scale;
    this.top += y / this.scale - y / scale;
    this.scale = scale;
    this.#fitted = false;
    this.#clamp();
    this.#moved();
  }

  /**
   * @param {number} right CSS pixels that the image moves
   * @param {number} down
   */
  pan(right, down) {
    this.left -= right / this.scale;
    this.top -= down / this.scale;
    this.#fitted = false;
    this.#clamp();
    this.#moved();
  }

  /**
   * Show a box of the image with some margin.
   * @param {Box} box
   */
  showBox(box) {
    const margin = 1.6;
    const wanted = Math.min(this.width / (margin * (box[3] - box[1])), this.height / (margin * (box[2] - box[0])));
    const fit = this.fitScale;
    this.scale = Math.min(Math.max(wanted, fit), Math.max(fit, Math.min(8, LARGEST_PIXEL)));
    this.top = (box[0] + box[2]) / 2 - this.height / 2 / this.scale;
    this.left = (box[1] + box[3]) / 2 - this.width / 2 / this.scale;
    this.#fitted = this.scale === fit;
    this.#clamp();
    this.#moved();
  }

  /** Keep a part of the image in the middle of the canvas. */
  #clamp() {
    const doc = this.doc;
    if (!doc) return;
    const high = this.height / this.scale;
    const wide = this.width / this.scale;
    this.top = Math.min(Math.max(this.top, -high / 2), doc.height - high / 2);
    this.left = Math.min(Math.max(this.left, -wide / 2), doc.width - wide / 2);
  }

  #moved() {
    this.#moving = performance.now();
    this.#baseChanged = true;
    const doc = this.doc;
    if (doc) {
      this.store.view.zoom = this.#fitted
        ? null
        : [doc.n, this.scale, this.top + this.height / 2 / this.scale, this.left + this.width / 2 / this.scale];
      this.store.keepView();
    }
    this.redraw();
    this.dispatchEvent(new Event("view"));
  }

  /**
   * Place on the canvas of a place on the image.
   * @param {number} row
   * @param {number} col
   * @returns {[x: number, y: number]}
   */
  toCanvas(row, col) {
    return [(col - this.left) * this.scale, (row - this.top) * this.scale];
  }

  // --- drawing

  redraw() {
    this.#overChanged = true;
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const start = performance.now();
    const moving = start - this.#moving < 120;
    if (this.#baseChanged) this.#baseChanged = !this.#drawBase(moving ? BUDGET_MOVING : BUDGET);
    if (this.#overChanged) this.#drawOver(moving);
    this.timings.push(performance.now() - start);
    if (this.timings.length > 2000) this.timings.splice(0, 1000);
    if (this.#baseChanged || this.#overChanged) this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  /** The level whose pixels are nearest to those of the screen; negative where pixels are enlarged. */
  get #level() {
    const most = (this.store.source?.levels.length ?? 1) - 1;
    const level = Math.floor(-Math.log2(this.scale * this.#ratio) + Math.log2(MOST_ENLARGED));
    return Math.min(Math.max(level, LEAST_LEVEL), most);
  }

  /**
   * Pixels of a level for each pixel of the image.
   * @param {number} level
   */
  #scaleOf(level) {
    return 2 ** -level;
  }

  /**
   * @param {Tile} tile
   * @returns {Box} of the image
   */
  #boxOf(tile) {
    const side = TILE / this.#scaleOf(tile.level);
    return [tile.row * side, tile.col * side, (tile.row + 1) * side, (tile.col + 1) * side];
  }

  /**
   * @param {number} budget milliseconds for new tiles
   * @returns {boolean} whether all tiles are as they should be
   */
  #drawBase(budget) {
    const draw = this.baseDraw;
    const { doc, source } = this.store;
    draw.setTransform(1, 0, 0, 1, 0, 0);
    draw.fillStyle = getComputedStyle(this.root).backgroundColor;
    draw.fillRect(0, 0, this.base.width, this.base.height);
    if (!doc || !source) return true;
    const until = performance.now() + budget;
    const level = this.#level;
    const side = TILE / this.#scaleOf(level);
    const rowEnd = Math.min(doc.height, this.top + this.height / this.scale) / side;
    const colEnd = Math.min(doc.width, this.left + this.width / this.scale) / side;
    const firstCol = Math.max(0, Math.floor(this.left / side));
    /** @type {Set<string>} */
    const seen = new Set();
    let whole = true;
    let built = 0;
    draw.imageSmoothingEnabled = true;
    draw.imageSmoothingQuality = "low";
    for (let row = Math.max(0, Math.floor(this.top / side)); row < rowEnd; row++) {
      for (let col = firstCol; col < colEnd; col++) {
        const key = `${level}/${row}/${col}`;
        seen.add(key);
        let tile = this.#tiles.get(key);
        const fresh = tile && tile.look === this.#look && !tile.stale.length;
        if (!fresh && (built === 0 || performance.now() < until)) {
          tile = this.#build(key, tile, level, row, col, doc, source);
          built += 1;
        } else if (!fresh) whole = false;
        if (tile) this.#tiles.delete(key);
        if (tile) this.#tiles.set(key, tile); // the last one used is the last one in the map
        this.#place(draw, row * side, col * side, side, tile, doc, source, level);
      }
    }
    let spare = this.#tiles.size - seen.size - SPARE_TILES;
    for (const key of this.#tiles.keys()) {
      if (spare <= 0) break;
      if (seen.has(key)) continue;
      this.#tiles.delete(key);
      spare -= 1;
    }
    return whole;
  }

  /**
   * Draw a tile, or what is there in its place.
   * @param {CanvasRenderingContext2D} draw
   * @param {number} top in pixels of the image
   * @param {number} left
   * @param {number} side
   * @param {Tile | undefined} tile
   * @param {PageDocument} doc
   * @param {ImageSource} source
   * @param {number} level
   */
  #place(draw, top, left, side, tile, doc, source, level) {
    const scale = this.scale * this.#ratio;
    const bottom = Math.min(doc.height, top + side);
    const right = Math.min(doc.width, left + side);
    const x = Math.round((left - this.left) * scale);
    const y = Math.round((top - this.top) * scale);
    const width = Math.round((right - this.left) * scale) - x;
    const height = Math.round((bottom - this.top) * scale) - y;
    if (tile) {
      const own = this.#scaleOf(level);
      draw.drawImage(tile.canvas, 0, 0, (right - left) * own, (bottom - top) * own, x, y, width, height);
      return;
    }
    for (let up = level + 1; up < level + 5; up++) {
      const own = this.#scaleOf(up);
      const step = TILE / own;
      const row = Math.floor(top / step);
      const col = Math.floor(left / step);
      const coarse = this.#tiles.get(`${up}/${row}/${col}`);
      if (!coarse) continue;
      const from = [(left - col * step) * own, (top - row * step) * own];
      draw.drawImage(coarse.canvas, from[0], from[1], (right - left) * own, (bottom - top) * own, x, y, width, height);
      return;
    }
    const pixels = Math.min(source.levels.length - 1, Math.max(0, level + 1));
    const share = source.levels[pixels][0] / doc.width;
    const down = source.levels[pixels][1] / doc.height;
    source.draw(draw, pixels, [left * share, top * down, (right - left) * share, (bottom - top) * down], [x, y, width, height]);
    // zooming out: the tiles of the level before have the paint
    const own = this.#scaleOf(level - 1);
    const half = side / 2;
    for (let i = 0; i < 4; i++) {
      const row = Math.round(top / half) + (i >> 1);
      const col = Math.round(left / half) + (i & 1);
      const fine = this.#tiles.get(`${level - 1}/${row}/${col}`);
      const high = Math.min(bottom, (row + 1) * half) - row * half;
      const wide = Math.min(right, (col + 1) * half) - col * half;
      if (!fine || high <= 0 || wide <= 0) continue;
      const px = Math.round((col * half - this.left) * scale);
      const py = Math.round((row * half - this.top) * scale);
      draw.drawImage(fine.canvas, 0, 0, wide * own, high * own, px, py, Math.round(((col * half + wide) - this.left) * scale) - px, Math.round(((row * half + high) - this.top) * scale) - py);
    }
  }

  /** @param {PageDocument} doc */
  #lookOf(doc) {
    const { view } = this.store;
    const covered = Math.sqrt((doc.width * doc.height) / Math.max(1, doc.count));
    return {
      opacity: view.opacity,
      border: view.borders ? borderShare(covered * 2 ** -this.#level / this.#ratio) : 0,
      colors: doc.info.borders,
      bright: this.#bright,
      hidden: this.store.hiddenObjects,
      mosaic: this.mosaic,
      paints: this.#paints,
      classes: this.store.classes,
    };
  }

  /**
   * Draw a tile, or the part of it that changed.
   * @param {string} key
   * @param {Tile | undefined} old
   * @param {number} level
   * @param {number} row
   * @param {number} col
   * @param {PageDocument} doc
   * @param {ImageSource} source
   * @returns {Tile}
   */
  #build(key, old, level, row, col, doc, source) {
    let tile = old;
    if (!tile) {
      const [canvas, draw] = newCanvas(TILE, TILE, { alpha: false });
      tile = { canvas, draw, level, row, col, look: -1, stale: [], whole: false };
      this.#tiles.set(key, tile);
    }
    const own = this.#scaleOf(level);
    const left = col * TILE;
    const top = row * TILE;
    const width = Math.min(TILE, Math.ceil(doc.width * own) - left);
    const height = Math.min(TILE, Math.ceil(doc.height * own) - top);
    const boxes = tile.stale.length && tile.look === this.#look && tile.whole ? tile.stale : null;
    tile.stale = [];
    if (!boxes) this.#drawPart(tile, [0, 0, width, height], doc, source);
    for (const [r0, c0, r1, c1] of boxes ?? []) {
      const x0 = Math.max(0, Math.floor(c0 * own) - left - 2);
      const y0 = Math.max(0, Math.floor(r0 * own) - top - 2);
      const x1 = Math.min(width, Math.ceil(c1 * own) - left + 2);
      const y1 = Math.min(height, Math.ceil(r1 * own) - top + 2);
      if (x1 > x0 && y1 > y0) this.#drawPart(tile, [x0, y0, x1 - x0, y1 - y0], doc, source);
    }
    tile.look = this.#look;
    return tile;
  }

  /**
   * Draw a part of a tile: the image, then paint and borders over it.
   * @param {Tile} tile
   * @param {[x: number, y: number, width: number, height: number]} part of the tile
   * @param {PageDocument} doc
   * @param {ImageSource} source
   */
  #drawPart(tile, [x, y, wide, high], doc, source) {
    const { draw, level } = tile;
    const own = this.#scaleOf(level);
    const left = tile.col * TILE + x;
    const top = tile.row * TILE + y;
    const pixels = Math.max(0, level);
    const across = source.levels[pixels][0] / doc.width / own;
    const down = source.levels[pixels][1] / doc.height / own;
    draw.imageSmoothingEnabled = level >= 0 || (this.store.view.smooth && level >= SMOOTH_LEVEL);
    draw.imageSmoothingQuality = "low";
    // with a margin that is cut off: interpolation at the edge of a part needs the pixels beyond it
    const margin = 2 * Math.max(1, own);
    const first = [Math.max(0, left - margin), Math.max(0, top - margin)];
    const last = [Math.min(doc.width * own, left + wide + margin), Math.min(doc.height * own, top + high + margin)];
    const [width, height] = [last[0] - first[0], last[1] - first[1]];
    draw.save();
    draw.beginPath();
    draw.rect(x, y, wide, high);
    draw.clip();
    tile.whole = source.draw(draw, pixels, [first[0] * across, first[1] * down, width * across, height * down], [x + first[0] - left, y + first[1] - top, width, height]);
    draw.restore();
    const image = new ImageData(wide, high);
    const out = new Uint32Array(image.data.buffer);
    drawLabels(out, doc, gridOf(left, wide, own, doc.width), gridOf(top, high, own, doc.height), this.#lookOf(doc));
    const [scratch, scratchDraw] = this.#scratch;
    scratchDraw.putImageData(image, 0, 0);
    draw.drawImage(scratch, 0, 0, wide, high, x, y, wide, high);
  }

  // --- highlights

  /**
   * Highlight segments, as a click would paint them.
   * @param {number[]} segments
   * @param {string} color
   * @param {number[][]} [more] segments that the next steps add, drawn fainter
   */
  highlight(segments, color, more = []) {
    const same =
      this.#wanted &&
      this.#wanted.color === color &&
      sameNumbers(this.#wanted.segments, segments) &&
      this.#wanted.more.length === more.length &&
      more.every((one, i) => sameNumbers(one, this.#wanted?.more[i] ?? []));
    if (same || (!this.#wanted && !segments.length)) return;
    this.#wanted = segments.length ? { segments, color, more } : null;
    this.redraw();
  }

  /** Segments that are highlighted. */
  get highlighted() {
    return this.#wanted?.segments ?? [];
  }

  /**
   * Show where an object is, or all objects of a class.
   * @param {number | null} class_ null: show nothing
   * @param {number | null} [number] of the object; null: all
   */
  flash(class_, number = null) {
    const code = class_ ? (number ? codeOf(class_, number) : -class_) : 0;
    if (code === this.#flashed) return;
    this.#flashed = code;
    this.redraw();
  }

  /**
   * @param {string} key
   * @param {Box} box
   * @param {Uint8Array | null} segments
   * @param {number} code
   * @param {string} color
   * @param {number} opacity
   * @param {number} strength
   * @param {boolean} moving
   * @returns {Highlight | undefined}
   */
  #highlightOf(key, box, segments, code, color, opacity, strength, moving) {
    const doc = this.doc;
    const known = this.#highlights.find((one) => one.key === key);
    const scale = this.#scaleOf(this.#level);
    if (!doc || (known && moving)) return known;
    if (known && known.scale === scale && !known.clipped) return known;
    const margin = 2 / scale;
    const view = [this.top - margin, this.left - margin, this.top + this.height / this.scale + margin, this.left + this.width / this.scale + margin];
    const inside = [Math.max(box[0] - margin, view[0]), Math.max(box[1] - margin, view[1]), Math.min(box[2] + margin, view[2]), Math.min(box[3] + margin, view[3])];
    const left = Math.max(0, Math.floor(inside[1] * scale));
    const top = Math.max(0, Math.floor(inside[0] * scale));
    const width = Math.min(Math.ceil(doc.width * scale), Math.ceil(inside[3] * scale)) - left;
    const height = Math.min(Math.ceil(doc.height * scale), Math.ceil(inside[2] * scale)) - top;
    if (width <= 0 || height <= 0) return undefined;
    const clipped = inside[0] > box[0] || inside[1] > box[1] || inside[2] < box[2] || inside[3] < box[3];
    const cols = gridOf(left, width, scale, doc.width);
    const rows = gridOf(top, height, scale, doc.height);
    const image = new ImageData(width, height);
    const chosen = chosenPixels(doc, cols, rows, segments, code);
    drawChosen(new Uint32Array(image.data.buffer), chosen, width, height, color, opacity, strength);
    const [canvas, draw] = newCanvas(width, height);
    draw.putImageData(image, 0, 0);
    const made = { canvas, left: left / scale, top: top / scale, scale, width, height, key, clipped };
    this.#highlights = [...this.#highlights.filter((one) => one.key !== key).slice(-5), made];
    return made;
  }

  /** @param {boolean} moving */
  #drawOver(moving) {
    const draw = this.overDraw;
    this.#overChanged = false;
    draw.setTransform(1, 0, 0, 1, 0, 0);
    draw.clearRect(0, 0, this.over.width, this.over.height);
    const doc = this.doc;
    if (!doc) return;
    draw.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    if (this.#wanted) {
      const { segments, color, more } = this.#wanted;
      let table = null;
      const box = doc.boxOfAll(segments);
      /** @type {number[]} */
      let all = segments;
      for (const [i, added] of more.entries()) {
        all = [...all, ...added];
        const wider = doc.boxOfAll(all);
        if (wider) this.#show(this.#highlightOf(`more${i} ${keyOf(all)}`, wider, tableOf(doc, all), 0, color, 0, 0.55 - 0.2 * i, moving));
      }
      if (box) {
        table = tableOf(doc, segments);
        this.#show(this.#highlightOf(`segments ${color} ${keyOf(segments)}`, box, table, 0, color, 0.4, 1, moving));
      }
    }
    const code = this.#flashed;
    if (code) {
      const fits = doc.objects.filter((one) => (code < 0 ? one.class === -code : codeOf(one.class, one.number) === code));
      const box = fits.reduce((all, one) => union(all, one.box), /** @type {Box | null} */ (null));
      if (box) this.#show(this.#highlightOf(`code ${code}`, box, null, code, "#ffffff", 0.3, 1, moving));
    }
    draw.lineJoin = "round";
    this.#tool?.draw?.(draw);
    if (moving && this.#highlights.some((one) => one.clipped || one.scale !== this.#scaleOf(this.#level))) {
      setTimeout(() => this.redraw(), 140); // sharp again once nothing moves
    }
  }

  /** @param {Highlight | undefined} one */
  #show(one) {
    if (!one) return;
    const [x, y] = this.toCanvas(one.top, one.left);
    const share = this.scale / one.scale;
    const draw = this.overDraw;
    draw.imageSmoothingEnabled = false;
    draw.drawImage(one.canvas, 0, 0, one.width, one.height, x, y, one.width * share, one.height * share);
  }

  // --- events

  /**
   * @param {number} x
   * @param {number} y
   * @returns {Hit}
   */
  #hitAt(x, y) {
    const doc = this.doc;
    const row = Math.floor(this.top + y / this.scale);
    const col = Math.floor(this.left + x / this.scale);
    return { x, y, row, col, inside: doc?.inside(row, col) ?? false, button: -1, ctrl: false, shift: false, alt: false, touch: false };
  }

  /**
   * @param {MouseEvent & {pointerType?: string}} event
   * @param {number} button
   * @returns {Hit}
   */
  #hit(event, button) {
    const box = this.over.getBoundingClientRect();
    return {
      ...this.#hitAt(event.clientX - box.left, event.clientY - box.top),
      button: /** @type {0 | 1 | 2 | -1} */ (button),
      ctrl: event.ctrlKey || event.metaKey,
      shift: event.shiftKey,
      alt: event.altKey,
      touch: event.pointerType === "touch",
    };
  }

  /** End a gesture of the tool without effect. */
  cancel() {
    if (this.#pressed >= 0) this.#tool?.cancel?.();
    this.#pressed = -1;
  }

  #listen() {
    const { over } = this;
    over.addEventListener("pointerdown", (event) => this.#down(event));
    over.addEventListener("blur", () => over.classList.remove("by-key"));
    over.addEventListener("keyup", (event) => {
      if (event.key === "Tab") over.classList.add("by-key"); // else the ring is in the way
    });
    over.addEventListener("pointermove", (event) => this.#move(event));
    over.addEventListener("pointerup", (event) => this.#up(event));
    over.addEventListener("pointercancel", (event) => this.#lost(event));
    over.addEventListener("pointerleave", () => {
      if (this.#pressed >= 0 || this.#pan) return;
      this.#last = null;
      this.highlight([], "");
      this.redraw();
      this.dispatchEvent(new Event("pointer"));
    });
    over.addEventListener("contextmenu", (event) => event.preventDefault());
    over.addEventListener("auxclick", (event) => event.preventDefault());
    over.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    addEventListener("keydown", (event) => {
      if (event.key !== " " || event.repeat) return;
      if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
      if (event.target instanceof Element && event.target.closest("input, textarea, select, button, a")) return;
      event.preventDefault();
      this.#space = true;
      this.#spaceUsed = false;
      over.style.cursor = "grab";
    });
    addEventListener("keyup", (event) => {
      if (event.key !== " " || !this.#space) return;
      this.#space = false;
      over.style.cursor = this.#tool?.cursor ?? "default";
      if (!this.#spaceUsed) this.store.emit("tap-space");
    });
    addEventListener("blur", () => {
      this.#space = false;
    });
  }

  /** @param {PointerEvent} event */
  #down(event) {
    this.over.focus({ preventScroll: true });
    try {
      this.over.setPointerCapture(event.pointerId);
    } catch {
      // the pointer is gone already
    }
    const hit = this.#hit(event, event.button);
    if (event.pointerType === "touch") {
      this.#touches.set(event.pointerId, { x: hit.x, y: hit.y });
      if (this.#touches.size === 2) {
        this.cancel();
        this.#pinch = this.#spread();
        return;
      }
      if (this.#touches.size > 2) return;
    }
    if (!this.doc) return;
    this.#last = hit;
    if (event.button === 1 || (event.button === 0 && this.#space)) {
      this.#pan = { x: hit.x, y: hit.y, moved: false, button: event.button };
      this.#spaceUsed = true;
      if (event.button === 1) event.preventDefault();
      this.over.style.cursor = "grabbing";
      return;
    }
    if (this.#pressed >= 0) return;
    const { time, x, y, button } = this.#clicked;
    const near = Math.hypot(hit.x - x, hit.y - y) < 6;
    const double = near && button === event.button && performance.now() - time < DOUBLE_CLICK;
    this.#clicked = { time: double ? 0 : performance.now(), x: hit.x, y: hit.y, button: event.button };
    this.#pressed = event.button;
    if (double && this.#tool?.double) this.#tool.double(hit);
    else this.#tool?.down?.(hit);
    this.redraw();
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const hit = this.#hit(event, this.#pressed);
    if (this.#touches.has(event.pointerId)) {
      this.#touches.set(event.pointerId, { x: hit.x, y: hit.y });
      if (this.#pinch) return this.#pinched();
    }
    if (this.#pan) {
      const right = hit.x - this.#pan.x;
      const down = hit.y - this.#pan.y;
      if (!this.#pan.moved && Math.hypot(right, down) < DRAG) return;
      this.#pan = { ...this.#pan, x: hit.x, y: hit.y, moved: true };
      this.pan(right, down);
      return;
    }
    const before = this.#last;
    this.#last = hit;
    if (!this.doc) return;
    // a fast pointer reports several places in one event
    const events = this.#pressed >= 0 && event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    if (events.length > 1) for (const one of events) this.#tool?.move?.(this.#hit(one, this.#pressed));
    else this.#tool?.move?.(hit);
    if (before?.row !== hit.row || before.col !== hit.col) this.dispatchEvent(new Event("pointer"));
  }

  /** @param {PointerEvent} event */
  #up(event) {
    const hit = this.#hit(event, event.button);
    if (this.#release(event)) return;
    if (this.#pan && event.button === this.#pan.button) {
      const { moved, button } = this.#pan;
      this.#pan = null;
      this.over.style.cursor = this.#space ? "grab" : this.#tool?.cursor ?? "default";
      // a middle click that does not move
      if (!moved && button === 1) this.#tool?.down?.(hit);
      return;
    }
    if (event.button !== this.#pressed) return;
    this.#pressed = -1;
    this.#tool?.up?.(hit);
    this.#last = event.pointerType === "touch" ? null : hit;
    if (event.pointerType === "touch") this.highlight([], "");
    this.redraw();
  }

  /** @param {PointerEvent} event */
  #lost(event) {
    this.#release(event);
    this.#pan = null;
    this.cancel();
  }

  /**
   * @param {PointerEvent} event
   * @returns {boolean} whether the finger was one of a pinch
   */
  #release(event) {
    const pinched = this.#pinch !== null && this.#touches.has(event.pointerId);
    this.#touches.delete(event.pointerId);
    if (this.#touches.size === 0) this.#pinch = null;
    return pinched;
  }

  #spread() {
    const [a, b] = [...this.#touches.values()];
    return { distance: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  }

  #pinched() {
    if (this.#touches.size < 2 || !this.#pinch) return;
    const before = this.#pinch;
    const now = this.#spread();
    this.#pinch = now;
    this.pan(now.x - before.x, now.y - before.y);
    if (before.distance > 0) this.zoom(now.distance / before.distance, now.x, now.y);
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    event.preventDefault();
    if (!this.doc) return;
    const unit = event.deltaMode === 1 ? 33 : event.deltaMode === 2 ? 300 : 1;
    const [right, down] = [event.deltaX * unit, event.deltaY * unit];
    const hit = this.#hit(event, -1);
    // a pinch on a touch pad comes as a wheel with Ctrl and small steps
    const notch = event.deltaMode !== 0 || (Number.isInteger(event.deltaY) && Math.abs(event.deltaY) >= 40);
    if (((event.ctrlKey && notch) || event.altKey) && this.#tool?.wheel?.(down < 0 ? 1 : -1, hit)) return;
    if (event.shiftKey && !event.ctrlKey) return this.pan(-(right || down), 0);
    if (!event.ctrlKey && event.deltaMode === 0 && !notch && (right !== 0 || Math.abs(down) < 40)) {
      return this.pan(-right, -down);
    }
    this.zoom(2 ** (-Math.max(-300, Math.min(300, down)) / (event.ctrlKey && !notch ? 60 : 260)), hit.x, hit.y);
    if (this.#last) this.#tool?.move?.({ ...hit, button: /** @type {0 | 1 | 2 | -1} */ (this.#pressed) });
  }
}

/**
 * @param {number[]} a
 * @param {number[]} b
 */
function sameNumbers(a, b) {
  return a === b || (a.length === b.length && a.every((value, i) => value === b[i]));
}

/** @param {number[]} segments */
function keyOf(segments) {
  let hash = segments.length;
  for (const segment of segments) hash = (Math.imul(hash, 31) + segment) | 0;
  return `${segments.length} ${hash}`;
}

let tableUsed = new Uint8Array(0);

/**
 * @param {PageDocument} doc
 * @param {number[]} segments
 */
function tableOf(doc, segments) {
  if (tableUsed.length < doc.codes.length) tableUsed = new Uint8Array(doc.codes.length);
  else tableUsed.fill(0);
  for (const segment of segments) tableUsed[segment] = 1;
  return tableUsed;
}
