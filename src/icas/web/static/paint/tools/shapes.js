/** Polygons and rectangles, painted with the chosen class whatever the segments. */

import { toastError } from "../../ui.js";
import { dot, outline } from "./cut.js";

/** @typedef {import("../types.js").Tool} Tool */
/** @typedef {import("../types.js").Hit} Hit */
/** @typedef {import("../types.js").PaintContext} PaintContext */

/** CSS pixels within which a click closes a polygon, and between points of a line drawn freely. */
const CLOSE = 10;
const FREE = 7;

/** Shapes that were sent stay on the screen until the server has painted them. */
class Sent {
  /** @type {{points: [number, number][], color: string, clears: boolean}[]} */
  #shapes = [];

  /** @param {PaintContext} context */
  constructor({ store, viewer }) {
    this.store = store;
    this.viewer = viewer;
  }

  /**
   * @param {string} op
   * @param {Record<string, unknown>} args
   * @param {[number, number][]} points corners in fractions of pixels
   * @param {boolean} clears
   */
  send(op, args, points, clears) {
    const { store } = this;
    if (store.readOnly) return;
    if (!clears && !store.selected) return toastError(new Error("There is no class yet: add one first."));
    if (!clears && store.classOf(store.selected)?.locked) return toastError(new Error("The class is locked."));
    const shape = { points, color: store.classOf(store.selected)?.color ?? "#ffffff", clears };
    this.#shapes.push(shape);
    const paint = clears ? { class: null } : { class: store.selected, number: store.objectNumber() };
    store
      .command(op, { ...args, ...paint })
      .catch(toastError)
      .finally(() => {
        this.#shapes = this.#shapes.filter((one) => one !== shape);
        this.viewer.redraw();
      });
    this.viewer.redraw();
  }

  /** @param {CanvasRenderingContext2D} draw */
  draw(draw) {
    for (const { points, color, clears } of this.#shapes) {
      trace(draw, points.map(([row, col]) => this.viewer.toCanvas(row, col)), true);
      if (!clears) fill(draw, color, this.store.view.opacity);
      outline(draw);
    }
  }
}

/**
 * @param {CanvasRenderingContext2D} draw
 * @param {[number, number][]} points
 * @param {boolean} close
 */
function trace(draw, points, close) {
  draw.beginPath();
  points.forEach(([x, y], i) => (i ? draw.lineTo(x, y) : draw.moveTo(x, y)));
  if (close) draw.closePath();
}

/**
 * @param {CanvasRenderingContext2D} draw
 * @param {string} color
 * @param {number} opacity
 */
function fill(draw, color, opacity) {
  draw.globalAlpha = opacity;
  draw.fillStyle = color;
  draw.fill();
  draw.globalAlpha = 1;
}

/**
 * @param {PaintContext} context
 * @returns {Tool}
 */
export function polygonTool(context) {
  const { store, viewer, say } = context;
  const sent = new Sent(context);
  /** @type {[number, number][]} rows and columns */
  let points = [];
  /** @type {Hit | null} */
  let pointer = null;
  /** @type {Hit | null} */
  let pressed = null;
  store.on("image", () => {
    points = [];
  });

  /** @param {Hit} hit */
  const placeOf = (hit) => {
    const { doc } = store;
    const row = Math.min((doc?.height ?? 1) - 1, Math.max(0, hit.row));
    return /** @type {[number, number]} */ ([row, Math.min((doc?.width ?? 1) - 1, Math.max(0, hit.col))]);
  };
  const close = () => {
    if (points.length >= 3) {
      sent.send("polygon", { points }, points.map(([row, col]) => [row + 0.5, col + 0.5]), false);
      say("Polygon painted");
    }
    points = [];
    viewer.redraw();
  };
  const drop = () => {
    points = points.slice(0, -1);
    viewer.redraw();
  };
  /** @param {Hit} hit */
  const closes = (hit) => {
    if (points.length < 3) return false;
    const [x, y] = viewer.toCanvas(points[0][0] + 0.5, points[0][1] + 0.5);
    return Math.hypot(hit.x - x, hit.y - y) < (hit.touch ? 2 * CLOSE : CLOSE);
  };

  return {
    id: "polygon",
    title: "Polygon",
    icon: "polygon",
    key: "P",
    hint: "Click the corners, or drag along the outline. First corner, double click or Enter: paint. Right click: drop the last.",
    cursor: "crosshair",
    leave: () => {
      points = [];
    },
    down: (hit) => {
      if (hit.button === 1 || store.readOnly) return;
      if (hit.button === 2) return drop();
      if (closes(hit)) return close();
      pressed = hit;
      points.push(placeOf(hit));
    },
    double: (hit) => {
      if (hit.button === 0) close();
    },
    move: (hit) => {
      pointer = hit;
      if (pressed && hit.button === 0 && Math.hypot(hit.x - pressed.x, hit.y - pressed.y) >= FREE) {
        pressed = hit;
        points.push(placeOf(hit));
      }
      if (points.length) viewer.redraw();
    },
    up: () => {
      pressed = null;
    },
    cancel: () => {
      if (pressed) points.pop();
      pressed = null;
    },
    draw: (draw) => {
      sent.draw(draw);
      if (!points.length) return;
      const places = points.map(([row, col]) => viewer.toCanvas(row + 0.5, col + 0.5));
      const color = store.classOf(store.selected)?.color ?? "#ffffff";
      trace(draw, pointer ? [...places, [pointer.x, pointer.y]] : places, true);
      fill(draw, color, 0.25);
      trace(draw, pointer ? [...places, [pointer.x, pointer.y]] : places, false);
      outline(draw);
      if (places.length < 60) for (const [x, y] of places) dot(draw, x, y, "#ffffff", 3);
      const ready = pointer !== null && closes(pointer);
      dot(draw, places[0][0], places[0][1], ready ? color : "#ffffff", ready ? 7 : 4);
    },
    keys: [
      { keys: ["Enter"], text: "paint the polygon", edits: true, run: () => (points.length ? close() : false) },
      { keys: ["Backspace"], text: "drop the last corner", run: drop },
      { keys: ["z", "ctrl+z"], text: "drop the last corner, else undo", edits: true, run: () => (points.length ? drop() : false) },
      {
        keys: ["Escape"],
        text: "drop the polygon",
        run: () => {
          points = [];
          viewer.redraw();
        },
      },
    ],
  };
}

/**
 * @param {PaintContext} context
 * @returns {Tool}
 */
export function rectangleTool(context) {
  const { store, viewer } = context;
  const sent = new Sent(context);
  /** @type {Hit | null} */
  let from = null;
  /** @type {Hit | null} */
  let to = null;

  /** Corners as a box of the image. */
  const box = () => {
    const { doc } = store;
    if (!from || !to || !doc) return null;
    const top = Math.max(0, Math.min(from.row, to.row));
    const left = Math.max(0, Math.min(from.col, to.col));
    const bottom = Math.min(doc.height, Math.max(from.row, to.row) + 1);
    const right = Math.min(doc.width, Math.max(from.col, to.col) + 1);
    return bottom > top && right > left ? /** @type {[number, number, number, number]} */ ([top, left, bottom, right]) : null;
  };

  return {
    id: "rectangle",
    title: "Rectangle",
    icon: "rectangle",
    key: "R",
    hint: "Drag a rectangle: paint it. Right drag: erase it.",
    cursor: "crosshair",
    down: (hit) => {
      if (hit.button === 1 || store.readOnly) return;
      from = to = hit;
    },
    move: (hit) => {
      if (!from || hit.button < 0) return;
      to = hit;
      viewer.redraw();
    },
    up: (hit) => {
      const clears = hit.button === 2;
      to = hit;
      const drawn = box();
      const tiny = !from || Math.hypot(hit.x - from.x, hit.y - from.y) < 3;
      from = to = null;
      if (!drawn || tiny) return;
      const [top, left, bottom, right] = drawn;
      sent.send("rectangle", { box: drawn }, [[top, left], [top, right], [bottom, right], [bottom, left]], clears);
    },
    cancel: () => {
      from = to = null;
    },
    draw: (draw) => {
      sent.draw(draw);
      const drawn = box();
      if (!drawn) return;
      const [x0, y0] = viewer.toCanvas(drawn[0], drawn[1]);
      const [x1, y1] = viewer.toCanvas(drawn[2], drawn[3]);
      trace(draw, [[x0, y0], [x1, y0], [x1, y1], [x0, y1]], true);
      fill(draw, store.classOf(store.selected)?.color ?? "#ffffff", 0.25);
      outline(draw);
    },
    keys: [
      {
        keys: ["Escape"],
        text: "drop the rectangle",
        run: () => {
          from = to = null;
          viewer.redraw();
        },
      },
    ],
  };
}
