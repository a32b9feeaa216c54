/** Pixels of an image at its own size, a half, a quarter …; large images come in tiles. */

/** @typedef {import("./types.js").DocInfo} DocInfo */

/**
 * @typedef {object} ImageSource
 * @property {[number, number][]} levels width and height of each level
 * @property {(draw: Target, level: number, from: Rect, to: Rect) => boolean} draw
 *   draws a part of a level; false: a better one comes later
 * @property {(listener: (level: number, rect: Rect) => void) => void} onLoad a part has come
 * @property {() => void} close
 *
 * @typedef {CanvasRenderingContext2D} Target
 * @typedef {[x: number, y: number, width: number, height: number]} Rect
 */

const SMALLEST = 256;
/** Tiles of a large image that are kept. */
const MOST_TILES = 240;

/**
 * A canvas beside the page.
 * @param {number} width
 * @param {number} height
 * @param {CanvasRenderingContext2DSettings} [settings]
 * @returns {[HTMLCanvasElement, CanvasRenderingContext2D]}
 */
export function newCanvas(width, height, settings) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return [canvas, /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", settings))];
}

/**
 * @param {DocInfo} info
 * @returns {Promise<ImageSource>}
 */
export async function imageSource(info) {
  if (info.pyramid && info.pyramid.length && Math.max(info.width, info.height) > 4096) {
    return new Tiled(info.n, info.pyramid, info.tile ?? 512);
  }
  const levels = levelsOf(info.width, info.height);
  return new Whole(await loader.load(new URL(`api/image/${info.n}`, document.baseURI).href, levels), levels);
}

/**
 * @param {number} width
 * @param {number} height
 * @returns {[number, number][]}
 */
export function levelsOf(width, height) {
  /** @type {[number, number][]} */
  const levels = [[width, height]];
  while (Math.max(width, height) > SMALLEST) {
    width = Math.max(1, Math.ceil(width / 2));
    height = Math.max(1, Math.ceil(height / 2));
    levels.push([width, height]);
  }
  return levels;
}

class Loader {
  /** @type {Worker | null} */
  #worker = null;
  #ticket = 0;
  /** @type {Map<number, {resolve: (bitmaps: ImageBitmap[]) => void, reject: (error: Error) => void}>} */
  #waiting = new Map();

  /**
   * @param {string} url
   * @param {[number, number][]} levels
   * @returns {Promise<ImageBitmap[]>}
   */
  load(url, levels) {
    if (!this.#worker) {
      this.#worker = new Worker(new URL("./images-worker.js", import.meta.url), { type: "module" });
      this.#worker.addEventListener("message", (event) => {
        const waiting = this.#waiting.get(event.data.ticket);
        this.#waiting.delete(event.data.ticket);
        if (event.data.error) waiting?.reject(new Error(event.data.error));
        else waiting?.resolve(event.data.bitmaps);
      });
    }
    const ticket = ++this.#ticket;
    const worker = this.#worker;
    return new Promise((resolve, reject) => {
      this.#waiting.set(ticket, { resolve, reject });
      worker.postMessage({ ticket, url, levels });
    });
  }
}

const loader = new Loader();

/** @implements {ImageSource} */
class Whole {
  /**
   * @param {ImageBitmap[]} bitmaps
   * @param {[number, number][]} levels
   */
  constructor(bitmaps, levels) {
    this.bitmaps = bitmaps;
    this.levels = levels;
  }

  /**
   * @param {Target} target
   * @param {number} level
   * @param {Rect} from
   * @param {Rect} to
   */
  draw(target, level, from, to) {
    const bitmap = this.bitmaps[level];
    if (bitmap) target.drawImage(bitmap, ...from, ...to);
    return true;
  }

  onLoad() {}

  close() {
    for (const bitmap of this.bitmaps) bitmap.close();
    this.bitmaps = [];
  }
}

/** @implements {ImageSource} */
class Tiled {
  /** @type {Map<string, ImageBitmap | null>} null: on its way */
  #tiles = new Map();
  /** @type {((level: number, rect: Rect) => void) | null} */
  #listener = null;
  #stop = new AbortController();

  /**
   * @param {number} n
   * @param {[number, number][]} levels
   * @param {number} side of a tile
   */
  constructor(n, levels, side) {
    this.n = n;
    this.levels = levels;
    this.side = side;
  }

  /** @param {(level: number, rect: Rect) => void} listener */
  onLoad(listener) {
    this.#listener = listener;
  }

  /**
   * @param {Target} target
   * @param {number} level
   * @param {Rect} from
   * @param {Rect} to
   */
  draw(target, level, from, to) {
    let whole = true;
    const [width, height] = this.levels[level];
    const right = Math.min(width, from[0] + from[2]);
    const bottom = Math.min(height, from[1] + from[3]);
    const across = to[2] / from[2];
    const down = to[3] / from[3];
    for (let row = Math.floor(from[1] / this.side); row * this.side < bottom; row++) {
      for (let col = Math.floor(from[0] / this.side); col * this.side < right; col++) {
        const left = Math.max(from[0], col * this.side);
        const top = Math.max(from[1], row * this.side);
        const wide = Math.min(right, (col + 1) * this.side) - left;
        const high = Math.min(bottom, (row + 1) * this.side) - top;
        /** @type {Rect} */
        const place = [to[0] + (left - from[0]) * across, to[1] + (top - from[1]) * down, wide * across, high * down];
        const tile = this.#tile(level, row, col);
        if (tile) target.drawImage(tile, left - col * this.side, top - row * this.side, wide, high, ...place);
        else {
          whole = false;
          this.#coarse(target, level, [left, top, wide, high], place);
        }
      }
    }
    return whole;
  }

  /**
   * Draw a part from the next smaller copy that is there.
   * @param {Target} target
   * @param {number} level
   * @param {Rect} from
   * @param {Rect} to
   */
  #coarse(target, level, from, to) {
    const last = this.levels.length - 1;
    for (let up = level + 1; up <= last; up++) {
      const share = this.levels[up][0] / this.levels[level][0];
      const x = from[0] * share;
      const y = from[1] * share;
      const row = Math.floor(y / this.side);
      const col = Math.floor(x / this.side);
      const tile = up === last ? this.#tile(up, row, col) : this.#tiles.get(`${up}/${row}/${col}`);
      if (!tile) continue;
      const wide = Math.max(0.01, Math.min(from[2] * share, tile.width - (x - col * this.side)));
      const high = Math.max(0.01, Math.min(from[3] * share, tile.height - (y - row * this.side)));
      target.drawImage(tile, x - col * this.side, y - row * this.side, wide, high, ...to);
      return;
    }
  }

  /**
   * @param {number} level
   * @param {number} row
   * @param {number} col
   */
  #tile(level, row, col) {
    const key = `${level}/${row}/${col}`;
    const tile = this.#tiles.get(key);
    if (tile === undefined) void this.#load(key, level, row, col);
    else if (tile) {
      this.#tiles.delete(key);
      this.#tiles.set(key, tile);
    }
    return tile;
  }

  /**
   * @param {string} key
   * @param {number} level
   * @param {number} row
   * @param {number} col
   */
  async #load(key, level, row, col) {
    this.#tiles.set(key, null);
    try {
      const answer = await fetch(`api/tile/${this.n}/${key}`, { signal: this.#stop.signal });
      if (!answer.ok) throw new Error(String(answer.status));
      const tile = await createImageBitmap(await answer.blob(), { colorSpaceConversion: "none" });
      if (this.#stop.signal.aborted) return tile.close();
      this.#tiles.set(key, tile);
      for (const [old, bitmap] of this.#tiles) {
        if (this.#tiles.size <= MOST_TILES) break;
        if (!bitmap || old.startsWith(`${this.levels.length - 1}/`)) continue;
        bitmap.close();
        this.#tiles.delete(old);
      }
      this.#listener?.(level, [col * this.side, row * this.side, tile.width, tile.height]);
    } catch {
      if (this.#stop.signal.aborted) return;
      setTimeout(() => {
        if (this.#tiles.get(key) === null) this.#tiles.delete(key); // the next drawing asks again
        this.#listener?.(level, [col * this.side, row * this.side, this.side, this.side]);
      }, 2000);
    }
  }

  close() {
    this.#stop.abort();
    for (const tile of this.#tiles.values()) tile?.close();
    this.#tiles.clear();
  }
}
