/** Edge lines: a line between two clicks splits the segments that it crosses. */

import { toastError } from "../../ui.js";

/** @typedef {import("../types.js").Tool} Tool */
/** @typedef {import("../types.js").Hit} Hit */
/** @typedef {import("../types.js").PaintContext} PaintContext */

/** CSS pixels of a drag that is a line of its own. */
const DRAG = 6;

/**
 * Draw a line that is seen on any image.
 * @param {CanvasRenderingContext2D} draw
 * @param {string} [color]
 * @param {number} [width]
 */
export function outline(draw, color = "#ffffff", width = 1.5) {
  draw.setLineDash([]);
  draw.strokeStyle = "rgb(0 0 0 / .75)";
  draw.lineWidth = width + 2;
  draw.stroke();
  draw.strokeStyle = color;
  draw.lineWidth = width;
  draw.stroke();
}

/**
 * A small handle.
 * @param {CanvasRenderingContext2D} draw
 * @param {number} x
 * @param {number} y
 * @param {string} [fill]
 * @param {number} [radius]
 */
export function dot(draw, x, y, fill = "#ffffff", radius = 4) {
  draw.beginPath();
  draw.arc(x, y, radius, 0, 2 * Math.PI);
  draw.fillStyle = fill;
  draw.fill();
  draw.strokeStyle = "rgb(0 0 0 / .8)";
  draw.lineWidth = 1.5;
  draw.stroke();
}

/** Lines between consecutive clicks; shared by the tool and the middle button of filling. */
export class Cutter {
  /** @type {[number, number] | null} row and column where the next line begins */
  from = null;
  /** @type {Hit | null} */
  #pointer = null;
  /** Lines that the server has not confirmed. */
  #sent = /** @type {[number, number, number, number][]} */ ([]);

  /** @param {PaintContext} context */
  constructor(context) {
    this.store = context.store;
    this.viewer = context.viewer;
    this.store.on("image", () => this.stop());
  }

  /** @param {Hit} hit */
  #place(hit) {
    const { doc } = this.store;
    if (!doc) return null;
    const row = Math.min(doc.height - 1, Math.max(0, hit.row));
    const col = Math.min(doc.width - 1, Math.max(0, hit.col));
    return /** @type {[number, number]} */ ([row, col]);
  }

  /** @param {Hit} hit */
  click(hit) {
    const place = this.#place(hit);
    if (!place || this.store.readOnly) return;
    if (this.from && (this.from[0] !== place[0] || this.from[1] !== place[1])) this.line(this.from, place);
    this.from = place;
    this.#pointer = hit;
    this.viewer.redraw();
  }

  /**
   * @param {[number, number]} from
   * @param {[number, number]} to
   */
  line(from, to) {
    /** @type {[number, number, number, number]} */
    const line = [...from, ...to];
    this.#sent.push(line);
    this.store
      .command("cut", { from, to })
      .catch(toastError)
      .finally(() => {
        this.#sent = this.#sent.filter((one) => one !== line);
        this.viewer.redraw();
      });
  }

  /** @param {Hit} hit */
  move(hit) {
    this.#pointer = hit;
    if (this.from) this.viewer.redraw();
  }

  stop() {
    if (!this.from) return;
    this.from = null;
    this.viewer.redraw();
  }

  /** @param {CanvasRenderingContext2D} draw */
  draw(draw) {
    for (const [row0, col0, row1, col1] of this.#sent) this.#line(draw, this.viewer.toCanvas(row0 + 0.5, col0 + 0.5), this.viewer.toCanvas(row1 + 0.5, col1 + 0.5));
    if (!this.from) return;
    const start = this.viewer.toCanvas(this.from[0] + 0.5, this.from[1] + 0.5);
    if (this.#pointer) this.#line(draw, start, [this.#pointer.x, this.#pointer.y]);
    dot(draw, ...start);
  }

  /**
   * @param {CanvasRenderingContext2D} draw
   * @param {[number, number]} a
   * @param {[number, number]} b
   */
  #line(draw, a, b) {
    draw.beginPath();
    draw.moveTo(...a);
    draw.lineTo(...b);
    outline(draw);
  }
}

/**
 * @param {PaintContext} context
 * @param {Cutter} cutter
 * @returns {Tool}
 */
export function cutTool({ viewer }, cutter) {
  /** @type {Hit | null} */
  let pressed = null;
  return {
    id: "cut",
    title: "Edge line",
    icon: "cut",
    key: "C",
    hint: "Click two points: the line between them splits segments. Esc: end the line.",
    cursor: "crosshair",
    leave: () => cutter.stop(),
    down: (hit) => {
      if (hit.button === 2) return cutter.stop();
      pressed = hit;
      cutter.click(hit);
    },
    move: (hit) => cutter.move(hit),
    up: (hit) => {
      if (pressed && Math.hypot(hit.x - pressed.x, hit.y - pressed.y) > DRAG) {
        cutter.click(hit);
        cutter.stop();
      }
      pressed = null;
    },
    cancel: () => {
      pressed = null;
      cutter.stop();
    },
    draw: (draw) => cutter.draw(draw),
    keys: [
      {
        keys: ["Escape"],
        text: "end the line",
        run: () => {
          cutter.stop();
          viewer.redraw();
        },
      },
    ],
  };
}
