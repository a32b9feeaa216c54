/** Brush and eraser: discs along the path of the pointer, whatever the segments. */

import { h, toastError } from "../../ui.js";
import { outline } from "./cut.js";

/** @typedef {import("../types.js").Tool} Tool */
/** @typedef {import("../types.js").Hit} Hit */
/** @typedef {import("../types.js").PaintContext} PaintContext */

/** Radii in pixels of the image, as in the window. */
export const RADII = [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128];

/**
 * @param {PaintContext} context
 * @param {boolean} erasing whether the left button erases
 * @returns {Tool}
 */
export function brushTool({ store, viewer }, erasing) {
  /** @type {ReturnType<import("../document.js").PageDocument["stroke"]> | null} */
  let stroke = null;
  let clears = false;
  /** @type {Hit | null} */
  let pointer = null;
  /** @type {(() => void) | null} */
  let redrawOptions = null;

  /** @param {number} step */
  const resize = (step) => {
    const { view } = store;
    const at = RADII.findIndex((radius) => radius >= view.radius);
    view.radius = RADII[Math.min(RADII.length - 1, Math.max(0, (at < 0 ? RADII.length - 1 : at) + step))];
    store.keepView("radius");
    redrawOptions?.();
    viewer.redraw();
  };

  /** @param {Hit} hit */
  const extend = (hit) => {
    if (!stroke) return;
    const last = stroke.points[stroke.points.length - 1];
    if (last && last[0] === hit.row && last[1] === hit.col) return;
    store.touch(stroke.extend(hit.row, hit.col));
  };

  return {
    id: erasing ? "eraser" : "brush",
    title: erasing ? "Eraser" : "Brush",
    icon: erasing ? "eraser" : "brush",
    key: erasing ? "E" : "B",
    hint: erasing ? "Drag: erase. Right drag: paint. Ctrl+wheel: size." : "Drag: paint. Right drag: erase. Ctrl+wheel: size.",
    cursor: "none",
    down: (hit) => {
      pointer = hit;
      if (hit.button === 1 || store.readOnly || !store.doc) return;
      clears = (hit.button === 2) !== erasing;
      if (!clears && !store.selected) return toastError(new Error("There is no class yet: add one first."));
      if (!clears && store.classOf(store.selected)?.locked) return toastError(new Error("The class is locked."));
      stroke = store.doc.stroke(store.view.radius, clears ? 0 : store.code);
      store.live(stroke);
      extend(hit);
    },
    move: (hit) => {
      pointer = hit;
      extend(hit);
      viewer.redraw();
    },
    up: () => {
      const done = stroke;
      stroke = null;
      if (!done) return;
      const args = { points: done.points, radius: store.view.radius, class: clears ? null : store.selected };
      store.command("brush", clears ? args : { ...args, number: store.objectNumber() }, done).catch(toastError);
    },
    cancel: () => {
      if (!stroke) return;
      store.touch(stroke.revert());
      store.forget(stroke);
      stroke = null;
    },
    leave: () => {
      pointer = null;
    },
    wheel: (steps) => {
      resize(steps);
      return true;
    },
    draw: (draw) => {
      if (!pointer || (pointer.touch && !stroke) || !viewer.pointer) return;
      const [x, y] = viewer.toCanvas(pointer.row + 0.5, pointer.col + 0.5);
      draw.beginPath();
      draw.arc(x, y, Math.max(1.5, (store.view.radius + 0.5) * viewer.scale), 0, 2 * Math.PI);
      outline(draw, erasing ? "#ffffff" : (store.classOf(store.selected)?.color ?? "#ffffff"));
      draw.fillStyle = "#ffffff";
      draw.fillRect(x - 0.5, y - 0.5, 1, 1);
    },
    options: (root) => {
      const slider = h("input", { type: "range", min: 0, max: RADII.length - 1, step: 1, "aria-label": "Brush size" });
      const text = h("output", { class: "option-text" });
      slider.addEventListener("input", () => {
        store.view.radius = RADII[Number(slider.value)];
        store.keepView("radius");
        redrawOptions?.();
        viewer.redraw();
      });
      root.append(h("label", { class: "option-group" }, h("span", { class: "option-label" }, "Size"), slider, text));
      redrawOptions = () => {
        const at = RADII.findIndex((radius) => radius >= store.view.radius);
        slider.value = String(at < 0 ? RADII.length - 1 : at);
        text.textContent = `${2 * store.view.radius + 1} px`;
        slider.setAttribute("aria-valuetext", text.textContent);
      };
      redrawOptions();
    },
    keys: [
      { keys: [","], text: "smaller brush", run: () => resize(-1) },
      { keys: ["."], text: "larger brush", run: () => resize(1) },
    ],
  };
}
