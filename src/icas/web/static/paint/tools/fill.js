/** Filling and clearing segments: by clicks, by dragging, all the time, or in groups that grow. */

import { classOf, codeOf, NO_OVERRIDE, union } from "../document.js";
import { button, h, plural, toastError } from "../../ui.js";

/** @typedef {import("../types.js").Tool} Tool */
/** @typedef {import("../types.js").Hit} Hit */
/** @typedef {import("../types.js").Box} Box */
/** @typedef {import("../types.js").PaintContext} PaintContext */
/** @typedef {import("../document.js").LocalChange} LocalChange */
/** @typedef {import("./cut.js").Cutter} Cutter */

/** CSS pixels of a drag before it paints further segments. */
const DRAG = 4;
/** Milliseconds after which continuous painting is sent. */
const FLUSH = 1200;
/** Milliseconds that the pointer rests on a segment before its group is loaded. */
const REST = 40;

/** Groups around segments, from the server; shared by both tools. */
export class Growth extends EventTarget {
  /** Steps that the group of the next click has grown. */
  steps = 0;
  /** @type {Map<number, number[][] | null>} null: on its way */
  #known = new Map();

  /** @param {PaintContext} context */
  constructor(context) {
    super();
    this.store = context.store;
    this.store.on("image", () => this.forget());
    let count = 0;
    this.store.on("change", () => {
      if (this.store.doc && this.store.doc.count !== count) this.forget();
      count = this.store.doc?.count ?? 0;
    });
  }

  forget() {
    this.#known.clear();
  }

  /**
   * Segments of the group around a segment, the segment itself while the group is loaded.
   * @param {number} segment
   * @param {Hit} hit a pixel of it
   */
  group(segment, hit) {
    if (!segment) return [];
    if (!this.steps) return [segment];
    const steps = this.#known.get(segment);
    if (steps === undefined) this.#loadSoon(segment, hit);
    if (!steps) return [segment];
    return steps.slice(0, this.steps + 1).flat();
  }

  /**
   * Segments that each of the next two steps adds.
   * @param {number} segment
   */
  next(segment) {
    const steps = this.steps ? this.#known.get(segment) : null;
    return steps ? steps.slice(this.steps + 1, this.steps + 3) : [];
  }

  /**
   * Number of steps around a segment, as far as it is known.
   * @param {number} segment
   */
  most(segment) {
    return this.#known.get(segment)?.length ?? null;
  }

  /**
   * @param {number} change
   * @param {number} segment under the pointer
   */
  grow(change, segment) {
    const most = this.most(segment);
    this.steps = Math.max(0, Math.min(this.steps + change, most === null ? 99 : most - 1));
    this.dispatchEvent(new Event("change"));
  }

  #soon = 0;

  /**
   * Load the steps of a segment once the pointer rests on it.
   * @param {number} segment
   * @param {Hit} hit
   */
  #loadSoon(segment, hit) {
    clearTimeout(this.#soon);
    this.#soon = setTimeout(() => void this.#load(segment, hit), REST);
  }

  /**
   * @param {number} segment
   * @param {Hit} hit
   */
  async #load(segment, hit) {
    this.#known.set(segment, null);
    const n = this.store.current;
    try {
      const { steps } = await this.store.get(`growth/${n}?row=${hit.row}&col=${hit.col}`);
      if (this.store.current !== n || !this.#known.has(segment)) return;
      this.#known.set(segment, steps);
      this.dispatchEvent(new Event("change"));
    } catch {
      this.#known.delete(segment);
    }
  }
}

/**
 * @param {PaintContext} context
 * @param {Growth} growth
 * @param {Cutter} cutter
 * @param {boolean} clearing whether the left button clears
 * @returns {Tool}
 */
export function fillTool(context, growth, cutter, clearing) {
  const { store, viewer, say } = context;
  /** @type {Hit | null} where the button went down */
  let pressed = null;
  let dragged = false;
  /** @type {Hit | null} */
  let last = null;
  /** @type {"fill" | "clear" | null} */
  let continuous = null;
  /** @type {ReturnType<typeof stroke> | null} */
  let open = null;
  let flush = 0;
  /** @type {(() => void) | null} */
  let redrawOptions = null;

  /** Segments of several moves as one change. */
  const stroke = (/** @type {number} */ code) => {
    /** @type {LocalChange[]} */
    const parts = [];
    /** @type {Set<number>} */
    const segments = new Set();
    const local = {
      code,
      segments,
      image: store.current,
      /** @param {number[]} added */
      extend: (added) => {
        const part = store.doc?.filling(added, code);
        if (!part) return;
        parts.push(part);
        for (const segment of added) segments.add(segment);
        store.touch(part.apply());
      },
      apply: () => parts.reduce((box, part) => union(box, part.apply()), /** @type {Box | null} */ (null)),
      /** @returns {[segments: number, pixels: boolean]} */
      size: () => {
        const sizes = parts.map((part) => part.size());
        return [sizes.reduce((sum, [count]) => sum + count, 0), sizes.some(([, pixels]) => pixels)];
      },
      revert: () => [...parts].reverse().reduce((box, part) => union(box, part.revert()), /** @type {Box | null} */ (null)),
    };
    return local;
  };

  /** @param {Hit} hit */
  const groupAt = (hit) => {
    const segment = store.doc?.labelAt(hit.row, hit.col) ?? 0;
    return growth.group(segment, hit);
  };

  /** @param {"fill" | "clear"} way */
  const begin = (way) => {
    const { doc } = store;
    if (store.readOnly || !doc) return;
    let code = 0;
    if (way === "fill") {
      if (!store.selected) return toastError(new Error("There is no class yet: add one first."));
      if (store.classOf(store.selected)?.locked) return toastError(new Error("The class is locked."));
      const number = doc.info.objects_by_segment && !store.continued ? store.newObject() : store.objectNumber();
      code = codeOf(store.selected, number);
    }
    open = stroke(code);
    store.live(open);
  };

  const end = () => {
    clearTimeout(flush);
    flush = 0;
    const done = open;
    open = null;
    if (!done) return;
    if (!done.segments.size) return store.forget(done);
    const segments = [...done.segments];
    const clears = done.code === 0;
    const args = clears ? { segments } : { segments, class: classOf(done.code), number: (done.code >> 16) + 1 };
    store.command(clears ? "unfill_segments" : "fill_segments", args, done, done.image).catch(toastError);
  };
  store.on("image", () => setContinuous(null));

  /** @param {number[]} segments */
  const paint = (segments) => {
    const { doc } = store;
    if (!open || !doc) return;
    const { code, segments: known } = open;
    const locked = new Set(store.classes.filter((one) => one.locked).map((one) => one.number));
    const added = segments.filter((segment) => {
      if (!segment || known.has(segment) || locked.has(classOf(doc.codes[segment]))) return false;
      return doc.codes[segment] !== code || brushed(segment);
    });
    if (!added.length) return;
    open.extend(added);
    if (doc.info.objects_by_segment && code && continuous === null && dragged) {
      end();
      begin("fill");
    }
  };

  /** @param {number} segment */
  const brushed = (segment) => {
    const { doc } = store;
    if (!doc?.overrides) return false;
    const [top, left, bottom, right] = doc.boxOf(segment);
    for (let row = top; row < bottom; row++) {
      for (let at = row * doc.width + left; at < row * doc.width + right; at++) {
        if (doc.labels[at] === segment && doc.overrides[at] !== NO_OVERRIDE) return true;
      }
    }
    return false;
  };

  /** @param {Hit} hit */
  const preview = (hit) => {
    const segment = hit.inside ? (store.doc?.labelAt(hit.row, hit.col) ?? 0) : 0;
    const clears = clearing || continuous === "clear";
    const color = clears ? "#ffffff" : (store.classOf(store.selected)?.color ?? "#ffffff");
    viewer.highlight(growth.group(segment, hit), color, growth.next(segment));
    redrawOptions?.();
  };

  /** @param {Hit} hit */
  const wayOf = (hit) => ((hit.button === 2) !== clearing ? "clear" : "fill");

  /** @param {"fill" | "clear" | null} way */
  const setContinuous = (way) => {
    end();
    if (continuous === way) return;
    continuous = way;
    say(way ? `Continuous ${way === "fill" ? "filling" : "clearing"} on` : "Continuous painting off");
    redrawOptions?.();
    viewer.redraw();
  };

  const move = (/** @type {Hit} */ hit) => {
    cutter.move(hit);
    if (continuous && hit.inside) {
      if (!open) {
        begin(continuous);
        flush = setTimeout(end, FLUSH);
      }
      const from = last ?? hit;
      paint(growth.steps ? groupAt(hit) : (store.doc?.crossed(from.row, from.col, hit.row, hit.col) ?? []));
    } else if (pressed && hit.button >= 0) {
      if (Math.hypot(hit.x - pressed.x, hit.y - pressed.y) >= DRAG && !dragged) {
        dragged = true;
        if (pressed.touch) start(pressed);
      }
      if (dragged) {
        const from = last ?? pressed;
        const crossed = store.doc?.crossed(from.row, from.col, hit.row, hit.col) ?? [];
        paint(growth.steps ? [...new Set(crossed.flatMap((segment) => growth.group(segment, hit)))] : crossed);
      }
    }
    last = hit;
    preview(hit);
  };

  /** @param {Hit} hit */
  const start = (hit) => {
    begin(wayOf(hit));
    paint(groupAt(hit));
  };

  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") end(); // the page may close
  });
  growth.addEventListener("change", () => {
    const at = viewer.pointer;
    if (at && viewer.tool?.id === (clearing ? "unfill" : "fill")) preview(at);
  });

  return {
    id: clearing ? "unfill" : "fill",
    title: clearing ? "Clear segments" : "Fill segments",
    icon: clearing ? "unfill" : "fill",
    key: clearing ? "X" : "F",
    hint: clearing
      ? "Click: clear the segment. Drag: all segments crossed. Right click: fill."
      : "Click: fill the segment. Drag: all segments crossed. Right click: clear. Ctrl+wheel: grow.",
    cursor: "crosshair",
    leave: () => {
      setContinuous(null);
      cutter.stop();
    },
    down: (hit) => {
      if (hit.button === 1) return cutter.click(hit);
      cutter.stop();
      if (hit.alt && hit.button === 0) return store.pick(hit.row, hit.col);
      pressed = hit;
      dragged = false;
      last = hit;
      // a finger may become one of two
      if (!hit.touch && !continuous) start(hit);
    },
    move,
    up: (hit) => {
      if (pressed?.touch && !dragged && !continuous) start(hit);
      pressed = null;
      if (!continuous) end();
      preview(hit);
    },
    double: (hit) => {
      if (hit.button === 1) return cutter.click(hit);
      setContinuous(continuous ? null : wayOf(hit));
    },
    cancel: () => {
      pressed = null;
      if (open && !continuous) {
        store.touch(open.revert());
        store.forget(open);
        open = null;
      }
    },
    wheel: (steps, hit) => {
      growth.grow(steps, store.doc?.labelAt(hit.row, hit.col) ?? 0);
      preview(hit);
      return true;
    },
    draw: (draw) => cutter.draw(draw),
    options: (root) => {
      const on = button({
        label: clearing ? "Continuous clearing" : "Continuous filling",
        icon: "continuous",
        edits: true,
        run: () => setContinuous(continuous ? null : clearing ? "clear" : "fill"),
      });
      on.title = "Paint every segment under the pointer (double click)";
      const text = h("output", { class: "option-text" });
      const grow = (/** @type {number} */ change) => {
        const at = viewer.pointer ?? last;
        growth.grow(change, at ? (store.doc?.labelAt(at.row, at.col) ?? 0) : 0);
        if (at) preview(at);
        redrawOptions?.();
      };
      const less = button({ label: "Shrink the selection", icon: "minus", key: "[", bare: true, quiet: true, run: () => grow(-1) });
      const more = button({ label: "Grow the selection", icon: "plus", key: "]", bare: true, quiet: true, run: () => grow(1) });
      root.append(on, h("span", { class: "option-group" }, h("span", { class: "option-label" }, "Selection"), less, text, more));
      redrawOptions = () => {
        on.setAttribute("aria-pressed", String(continuous !== null));
        const many = viewer.highlighted.length;
        text.textContent = growth.steps ? `step ${growth.steps}${many ? ` · ${plural(many, "segment")}` : ""}` : "1 segment";
        less.disabled = growth.steps === 0;
      };
      redrawOptions();
    },
    keys: [
      { keys: ["]"], text: "grow the selection (also Ctrl+wheel)", run: () => grown(1) },
      { keys: ["["], text: "shrink the selection", run: () => grown(-1) },
      {
        keys: ["Escape"],
        text: "stop drawing edges or continuous filling",
        run: () => {
          cutter.stop();
          if (continuous) setContinuous(null);
          else if (growth.steps) grown(-growth.steps);
        },
      },
    ],
  };

  /** @param {number} change */
  function grown(change) {
    const at = viewer.pointer;
    growth.grow(change, at ? (store.doc?.labelAt(at.row, at.col) ?? 0) : 0);
    if (at) preview(at);
    redrawOptions?.();
  }
}
