/** Objects by prompts: clicks, boxes and strokes; the mask follows each of them, Enter accepts. */

import { unpackedBits, unzipped } from "../codec.js";
import { newCanvas } from "../images.js";
import { drawChosen } from "../labels.js";
import { button, h, toastError } from "../../ui.js";
import { dot, outline } from "./cut.js";

/** @typedef {import("../types.js").Tool} Tool */
/** @typedef {import("../types.js").Hit} Hit */
/** @typedef {import("../types.js").Box} Box */
/** @typedef {import("../types.js").PaintContext} PaintContext */
/** @typedef {import("../types.js").PromptAnswer} PromptAnswer */

/**
 * @typedef {object} Stroke
 * @property {[number, number][]} points
 * @property {number} radius
 * @property {0 | 1} label 1 object, 0 background
 *
 * @typedef {object} Step what one gesture added
 * @property {Box} [box]
 * @property {[number, number, 0 | 1]} [point]
 * @property {Stroke} [stroke]
 * @property {number} candidate
 *
 * @typedef {object} Shown the mask on the screen
 * @property {HTMLCanvasElement} canvas
 * @property {Box} box
 * @property {string} prompt
 * @property {number} candidates
 * @property {(color: string) => void} paint
 */

const DRAG = 5;
const WAIT = 300;
/** Pixels of a mask that is drawn; larger ones are drawn smaller. */
const MOST = 2_000_000;
const RADIUS = 8;
/** Number of the last request of both tools; a later one replaces those before. */
let serial = 0;

/**
 * @param {PaintContext} context
 * @param {"sam" | "grabcut"} kind
 * @returns {Tool}
 */
export function promptTool(context, kind) {
  const { store, viewer, say } = context;
  const strokes = kind === "grabcut";
  /** @type {Step[]} */
  let steps = [];
  /** @type {Shown | null} */
  let shown = null;
  /** @type {Shown | null} a mask that the server paints now */
  let accepted = null;
  /** @type {Hit | null} */
  let pressed = null;
  /** @type {Hit | null} */
  let pointer = null;
  /** @type {[number, number][]} */
  let path = [];
  let active = false;
  let status = "";
  let label = /** @type {0 | 1} */ (1);
  /** @type {(() => void) | null} */
  let redrawOptions = null;

  const missing = () => {
    const has = store.loaded ? store.state.tools[kind] : true;
    return has === true ? "" : String(has || "not available");
  };
  const colorNow = () => store.classOf(store.selected)?.color ?? "#ffffff";
  const boxOf = () => [...steps].reverse().find((step) => step.box)?.box ?? null;
  const say_ = (/** @type {string} */ text) => {
    status = text;
    redrawOptions?.();
  };

  const clear = () => {
    steps = [];
    shown = null;
    pressed = null;
    serial += 1;
    say_("");
    viewer.redraw();
  };
  store.on("select", () => shown?.paint(colorNow()));
  store.on("image", () => {
    accepted = null;
    clear();
    if (active) setTimeout(warm, 0);
  });

  /** Have the network see the image before the first click. */
  const warm = async () => {
    if (kind !== "sam" || missing() || !active || store.readOnly) return;
    const n = store.current;
    try {
      for (;;) {
        if (!active || store.current !== n || steps.length) return;
        const answer = await store.post("prompt", { image: n, tool: kind, box: null, points: [], strokes: [], serial: ++serial });
        if (!answer.wait) break;
        say_(`Reading the image ${percent(answer.progress)}`);
        await new Promise((resolve) => setTimeout(resolve, WAIT));
      }
      if (store.current === n && !steps.length) say_("");
    } catch (error) {
      if (active) say_(error instanceof Error ? error.message : String(error));
    }
  };

  /** Ask for the mask of all steps. */
  const ask = async () => {
    let own = ++serial;
    const n = store.current;
    const box = boxOf();
    const points = steps.flatMap((step) => (step.point ? [step.point] : []));
    if (!steps.length) {
      shown = null;
      say_("");
      return viewer.redraw();
    }
    say_("Computing…");
    viewer.redraw();
    const body = {
      image: n,
      tool: kind,
      box,
      points,
      strokes: steps.flatMap((step) => (step.stroke ? [step.stroke] : [])),
      candidates: steps.map((step) => step.candidate),
    };
    const current = () => own === serial && store.current === n;
    try {
      while (current()) {
        own = ++serial;
        /** @type {PromptAnswer} */
        const answer = await store.post("prompt", { ...body, serial });
        if (!current() || answer.superseded) return;
        if (answer.wait) {
          say_(`Reading the image ${percent(answer.progress)}`);
          await new Promise((resolve) => setTimeout(resolve, WAIT));
          continue;
        }
        await show(answer);
        if (!answer.more) return;
      }
    } catch (error) {
      if (current()) say_(error instanceof Error ? error.message : String(error));
    }
  };
  /** @param {PromptAnswer} answer */
  const show = async (answer) => {
    if (!answer.prompt || !answer.box || !answer.data) {
      shown = null;
      say_(answer.note ?? "No object found: add a click or a box.");
      return viewer.redraw();
    }
    const { box, data } = answer;
    const bits = new Uint8Array(await unzipped(data));
    const width = box[3] - box[1];
    const height = box[2] - box[0];
    const step = Math.max(1, Math.ceil(Math.sqrt((width * height) / MOST)));
    const mask = unpackedBits(bits, width, height);
    const wide = Math.ceil(width / step) + 2;
    const high = Math.ceil(height / step) + 2;
    // with the margin of the outline, and one more that `drawChosen` reads
    const chosen = new Uint8Array((wide + 2) * (high + 2));
    for (let y = 0; y * step < height; y++) {
      for (let x = 0; x * step < width; x++) {
        chosen[(y + 2) * (wide + 2) + x + 2] = mask[y * step * width + x * step];
      }
    }
    const [canvas, draw] = newCanvas(wide, high);
    const paint = (/** @type {string} */ color) => {
      const image = new ImageData(wide, high);
      drawChosen(new Uint32Array(image.data.buffer), chosen, wide, high, color, 0.45);
      draw.putImageData(image, 0, 0);
    };
    paint(colorNow());
    const place = /** @type {Box} */ ([box[0] - step, box[1] - step, box[0] + (high - 1) * step, box[1] + (wide - 1) * step]);
    shown = { canvas, box: place, prompt: answer.prompt, candidates: answer.candidates ?? 1, paint };
    const score = answer.score === null || answer.score === undefined ? "" : ` · score ${answer.score.toFixed(2)}`;
    say_(`${new Intl.NumberFormat("en-US").format(answer.area ?? 0)} pixels${score}`);
    viewer.redraw();
  };

  /** @param {Step} step */
  const add = (step) => {
    if (step.box) steps = [step]; // another object
    else steps.push(step);
    void ask();
  };
  const drop = () => {
    if (!steps.length) return;
    steps = steps.slice(0, -1);
    if (!steps.length) return clear();
    void ask();
  };
  const accept = () => {
    const done = shown;
    if (!done) return false;
    if (!store.selected) return toastError(new Error("There is no class yet: add one first."));
    if (store.classOf(store.selected)?.locked) return toastError(new Error("The class is locked."));
    const paint = { prompt: done.prompt, class: store.selected };
    // a carried mask that is wrong is replaced, and keeps the number of its object
    const carried = document.body.dataset.queue === "open";
    const args = carried ? { ...paint, replace: true } : { ...paint, number: store.newObject() };
    clear();
    accepted = done;
    store
      .command("mask", args)
      .then(() => say("Object painted"))
      .catch(toastError)
      .finally(() => {
        if (accepted === done) accepted = null;
        viewer.redraw();
      });
    return true;
  };
  const candidate = () => {
    const last = steps[steps.length - 1];
    if (!last || !shown || shown.candidates < 2) return;
    last.candidate = (last.candidate + 1) % shown.candidates;
    void ask();
  };

  /** @param {Hit} hit */
  const placeOf = (hit) => {
    const { doc } = store;
    const row = Math.min((doc?.height ?? 1) - 1, Math.max(0, hit.row));
    return /** @type {[number, number]} */ ([row, Math.min((doc?.width ?? 1) - 1, Math.max(0, hit.col))]);
  };
  /**
   * @param {Hit} from
   * @param {Hit} to
   * @returns {Box}
   */
  const dragged = (from, to) => {
    const a = placeOf(from);
    const b = placeOf(to);
    return [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]) + 1, Math.max(a[1], b[1]) + 1];
  };
  /** Whether a drag is a stroke, not a box. */
  const strokeNow = (/** @type {Hit} */ hit) => strokes && (steps.length > 0 || hit.button === 2) && !hit.shift;
  const labelOf = (/** @type {Hit} */ hit) => /** @type {0 | 1} */ (hit.button === 2 || hit.alt ? 1 - label : label);
  const radius = () => Math.max(1, Math.round(RADIUS / viewer.scale));

  return {
    id: kind,
    title: kind === "sam" ? "Segment Anything" : "GrabCut",
    icon: kind,
    key: kind === "sam" ? "S" : "G",
    hint: strokes
      ? "Click the object or drag a box, then click or draw: left the object, right the background. Enter: accept."
      : "Click the object, right click the background, or drag a box. Enter: accept.",
    cursor: "crosshair",
    missing,
    enter: () => {
      active = true;
      void warm();
    },
    leave: () => {
      active = false;
      clear();
    },
    down: (hit) => {
      if (store.readOnly || hit.button === 1) return;
      pressed = hit;
      path = [placeOf(hit)];
    },
    move: (hit) => {
      pointer = hit;
      if (!pressed || hit.button < 0) return;
      const place = placeOf(hit);
      const last = path[path.length - 1];
      if (last[0] !== place[0] || last[1] !== place[1]) path.push(place);
      viewer.redraw();
    },
    up: (hit) => {
      const from = pressed;
      pressed = null;
      if (!from) return;
      const far = Math.hypot(hit.x - from.x, hit.y - from.y) >= DRAG;
      const sign = labelOf(from);
      if (far && strokeNow(from)) add({ stroke: { points: path, radius: radius(), label: sign }, candidate: 0 });
      else if (far && from.button === 0) add({ box: dragged(from, hit), candidate: 0 });
      else if (from.inside) add({ point: [...placeOf(from), sign], candidate: 0 });
      path = [];
      viewer.redraw();
    },
    cancel: () => {
      pressed = null;
      path = [];
    },
    draw: (draw) => {
      for (const one of [accepted, shown]) {
        if (!one) continue;
        const [x, y] = viewer.toCanvas(one.box[0], one.box[1]);
        const [right, bottom] = viewer.toCanvas(one.box[2], one.box[3]);
        draw.imageSmoothingEnabled = false;
        draw.drawImage(one.canvas, x, y, right - x, bottom - y);
      }
      const box = pressed && pointer && !strokeNow(pressed) && pressed.button === 0 && Math.hypot(pointer.x - pressed.x, pointer.y - pressed.y) >= DRAG ? dragged(pressed, pointer) : boxOf();
      if (box) {
        const [x, y] = viewer.toCanvas(box[0], box[1]);
        const [right, bottom] = viewer.toCanvas(box[2], box[3]);
        draw.beginPath();
        draw.rect(x, y, right - x, bottom - y);
        outline(draw, "#ffd60a");
      }
      const now = pressed && strokeNow(pressed) ? [{ points: path, radius: radius(), label: labelOf(pressed) }] : [];
      for (const one of [...steps.flatMap((step) => (step.stroke ? [step.stroke] : [])), ...now]) {
        draw.beginPath();
        one.points.forEach(([row, col], i) => {
          const [x, y] = viewer.toCanvas(row + 0.5, col + 0.5);
          if (i) draw.lineTo(x, y);
          else draw.moveTo(x, y + (one.points.length === 1 ? 0.1 : 0));
          if (one.points.length === 1) draw.lineTo(x, y);
        });
        draw.lineCap = "round";
        draw.globalAlpha = 0.75;
        draw.strokeStyle = one.label ? "#30d158" : "#ff453a";
        draw.lineWidth = Math.max(2, (2 * one.radius + 1) * viewer.scale);
        draw.stroke();
        draw.globalAlpha = 1;
      }
      for (const { point } of steps) {
        if (!point) continue;
        const [x, y] = viewer.toCanvas(point[0] + 0.5, point[1] + 0.5);
        dot(draw, x, y, point[2] ? "#30d158" : "#ff453a", 7);
        draw.beginPath();
        draw.moveTo(x - 3.5, y);
        draw.lineTo(x + 3.5, y);
        if (point[2]) {
          draw.moveTo(x, y - 3.5);
          draw.lineTo(x, y + 3.5);
        }
        draw.strokeStyle = "#ffffff";
        draw.lineWidth = 2;
        draw.stroke();
      }
    },
    options: (root) => {
      const object = button({ label: "Object", icon: "plus", edits: true, run: () => setLabel(1) });
      const background = button({ label: "Background", icon: "minus", edits: true, run: () => setLabel(0) });
      const other = button({ label: "Next mask", key: "m", quiet: true, edits: true, run: candidate });
      const ok = button({ label: "Accept", icon: "check", key: "Enter", primary: true, edits: true, run: accept });
      const no = button({ label: "Drop the mask", icon: "cross", key: "Esc", bare: true, quiet: true, edits: true, run: clear });
      const text = h("output", { class: "option-text status", "aria-live": "polite" });
      const setLabel = (/** @type {0 | 1} */ next) => {
        label = next;
        redrawOptions?.();
      };
      root.append(h("span", { class: "option-group" }, object, background), other, ok, no, text);
      redrawOptions = () => {
        object.setAttribute("aria-pressed", String(label === 1));
        background.setAttribute("aria-pressed", String(label === 0));
        other.hidden = kind !== "sam" || !shown || shown.candidates < 2;
        ok.disabled = !shown;
        no.disabled = !steps.length;
        const why = missing();
        text.textContent = why || status;
        text.classList.toggle("warn", why !== "");
      };
      redrawOptions();
    },
    keys: [
      { keys: ["Enter"], text: "accept the mask as an object of the class", edits: true, run: accept },
      { keys: ["m"], text: "next candidate mask", edits: true, run: () => (shown ? candidate() : false) },
      { keys: ["Backspace"], text: "drop the last click, box or stroke", run: drop },
      { keys: ["z", "ctrl+z"], text: "drop the last click, box or stroke, else undo", edits: true, run: () => (steps.length ? drop() : false) },
      { keys: ["Escape"], text: "drop the mask", run: clear },
    ],
  };
}

/** @param {number | undefined} share */
function percent(share) {
  return share ? `${Math.round(100 * share)} %` : "…";
}
