/** Threshold: slide it over the spanning forest and see what is won and lost before it is set. */

import { empty, segmented, waiting } from "../tasks.js";
import { button, count, h, kbd, plural, toast, toastError } from "../ui.js";

/** @typedef {import("../threshold-worker.js").View} View */
/** @typedef {import("../threshold-worker.js").Pair} Pair */
/** @typedef {import("../threshold-worker.js").Counts} Counts */

const STEPS = 10000;
/** Milliseconds between two times that the images of pairs are loaded. */
const LOAD = 250;
const PAD = { left: 46, right: 12, top: 12, bottom: 24 };
/** @type {Promise<ArrayBuffer> | null} */
let forest = null;

/** @returns {Promise<ArrayBuffer>} */
async function fetchForest() {
  const answer = await fetch("api/forest");
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return answer.arrayBuffer();
}

/** @type {Worker | null} */
let worker = null;

/** @type {import("../types.js").Screen} */
export const threshold = {
  id: "threshold",
  title: "Threshold",
  key: "t",
  icon: "threshold",
  unmount() {
    worker?.terminate();
    worker = null;
  },
  async mount(root, context) {
    const { store, keys, signal, say } = context;
    let low = 0;
    let value = store.state.threshold;
    /** Whether the slider was moved since the threshold was set. */
    let moved = false;
    /** @type {Counts} */
    let now = { clusters: 0, clustered: 0, largest: 0 };
    /** @type {View | null} */
    let view = null;
    /** @type {Float32Array} */
    let curve = new Float32Array();
    let ticket = 0;
    let turn = 0;
    let frame = 0;
    let fixedClusters = 0;
    let fixedImages = 0;
    /** @type {"clusters" | "clustered"} */
    let plotted = "clusters";

    root.append(
      h("header", { class: "screen-head task-head" }, h("h1", {}, "Threshold"), h("span", { class: "quiet-text head-note" }, "Images with a similarity at or above it are linked.")),
    );
    const body = h("div", { class: "threshold-body task-scroll scroller" }, waiting("Loading the spanning forest…"));
    root.append(body);

    const canvas = h("canvas", { class: "curve", role: "img" });
    const slider = h("input", { type: "range", min: 0, max: STEPS, step: 1, class: "threshold-slider", "aria-label": "Threshold" });
    const number = h("input", { type: "number", class: "field threshold-number", step: "0.001", max: "1", "aria-label": "Threshold as a number" });
    const stat = {
      clusters: h("strong", {}), clustersChange: h("span", { class: "stat-change" }),
      clustered: h("strong", {}), clusteredChange: h("span", { class: "stat-change" }),
      outliers: h("strong", {}), outliersChange: h("span", { class: "stat-change" }),
      largest: h("strong", {}), largestChange: h("span", { class: "stat-change" }),
    };
    const lost = column("Links lost", "lost");
    const won = column("Links won", "won");
    const fixed = h("p", { class: "quiet-text threshold-fixed" });
    const set = button({ label: "Set threshold", icon: "check", key: "Enter", primary: true, edits: true, run: () => void commit() });
    const reset = button({ label: "Reset", key: "Esc", run: () => back() });
    const which = segmented(
      "Curve",
      [{ value: "clusters", text: "Clusters" }, { value: "clustered", text: "Clustered images" }],
      plotted,
      (next) => {
        plotted = next;
        which.set(next);
        drawCurve();
      },
    );

    /**
     * @param {string} title
     * @param {string} look
     */
    function column(title, look) {
      const heading = h("h2", {}, title);
      const list = h("ul", { class: `pairs ${look}` });
      /** @type {HTMLElement[]} */
      const rows = [];
      return { node: h("section", { class: "pair-column" }, heading, list), heading, list, rows };
    }

    /**
     * Show pairs in rows that are used again: a frame of the slider makes no elements.
     * @param {ReturnType<typeof column>} target
     * @param {Pair[]} pairs
     */
    const showPairs = (target, pairs) => {
      while (target.rows.length < pairs.length) {
        const row = h(
          "li",
          { class: "pair" },
          h("img", { alt: "", decoding: "async" }),
          h("span", { class: "pair-similarity" }),
          h("img", { alt: "", decoding: "async" }),
          h("span", { class: "pair-sizes quiet-text" }),
        );
        target.rows.push(row);
        target.list.append(row);
      }
      target.rows.forEach((row, i) => {
        const pair = pairs[i];
        row.hidden = !pair;
        if (!pair) return;
        const [a, b, similarity, sizeA, sizeB] = pair;
        const key = `${a} ${b}`;
        if (row.dataset.key === key) return;
        row.dataset.key = key;
        const [left, middle, right, sizes] = row.children;
        late.set(/** @type {HTMLImageElement} */ (left), a);
        late.set(/** @type {HTMLImageElement} */ (right), b);
        middle.textContent = similarity.toFixed(3);
        sizes.textContent = `${count(sizeA)} + ${plural(sizeB, "image")}`;
      });
    };

    // while the slider moves fast, images are loaded a few times a second
    /** @type {Map<HTMLImageElement, number>} */
    const late = new Map();
    let loading = 0;
    const loadImages = () => {
      if (loading) return;
      loading = setTimeout(() => {
        loading = 0;
        for (const [img, image] of late) {
          img.src = store.thumb(image);
          img.alt = store.file(image);
          img.title = store.file(image);
        }
        late.clear();
      }, LOAD);
    };

    /**
     * @param {HTMLElement} node
     * @param {HTMLElement} change
     * @param {number} after
     * @param {number} before
     */
    const showStat = (node, change, after, before) => {
      node.textContent = count(after);
      const step = after - before;
      change.textContent = step ? `${step > 0 ? "+" : "−"}${count(Math.abs(step))}` : "";
    };

    const show = () => {
      if (!view) return;
      const images = store.state.run.images;
      const rejected = store.state.rejected.length;
      showStat(stat.clusters, stat.clustersChange, view.clusters + fixedClusters, now.clusters + fixedClusters);
      showStat(stat.clustered, stat.clusteredChange, view.clustered + fixedImages, now.clustered + fixedImages);
      const outside = images - rejected - fixedImages;
      showStat(stat.outliers, stat.outliersChange, outside - view.clustered, outside - now.clustered);
      showStat(stat.largest, stat.largestChange, view.largest, now.largest);
      const same = !view.wonCount && !view.lostCount;
      lost.heading.textContent = same ? "Weakest links, kept" : `Links lost: ${count(view.lostCount)}`;
      won.heading.textContent = same ? "Strongest links, not used" : `Links won: ${count(view.wonCount)}`;
      lost.node.hidden = !same && !view.lostCount;
      won.node.hidden = !same && !view.wonCount;
      for (const one of [lost, won]) one.node.toggleAttribute("data-same", same);
      won.node.dataset.empty = same && !view.won.length ? "Lower similarities were not stored by the run." : "";
      showPairs(lost, view.lost);
      showPairs(won, view.won);
      if (late.size) loadImages();
      const changed = Math.abs(value - store.state.threshold) > 1e-9;
      set.disabled = !changed;
      reset.disabled = !changed;
      draw();
    };

    // the curve is drawn once, and copied below the marks of each frame
    const still = document.createElement("canvas");
    /** @type {{ink: string, quiet: string, base: number, x: (t: number) => number, y: (n: number) => number} | null} */
    let scale = null;

    const drawCurve = () => {
      const ratio = devicePixelRatio || 1;
      const width = canvas.clientWidth;
      const height = canvas.clientHeight;
      const pen = still.getContext("2d");
      if (!width || !curve.length || !pen) return;
      canvas.width = still.width = Math.round(width * ratio);
      canvas.height = still.height = Math.round(height * ratio);
      const style = getComputedStyle(root);
      const color = (/** @type {string} */ name) => style.getPropertyValue(name);
      const at = plotted === "clusters" ? 1 : 2;
      const base = plotted === "clusters" ? fixedClusters : fixedImages;
      let most = 1;
      for (let i = at; i < curve.length; i += 3) most = Math.max(most, base + curve[i]);
      const inner = { width: width - PAD.left - PAD.right, height: height - PAD.top - PAD.bottom };
      const x = (/** @type {number} */ t) => PAD.left + (inner.width * (t - low)) / (1 - low || 1);
      const y = (/** @type {number} */ n) => PAD.top + inner.height * (1 - n / most);
      scale = { ink: color("--ink"), quiet: color("--quiet"), base, x, y };
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, width, height);
      pen.font = "11px system-ui, sans-serif";
      pen.fillStyle = scale.quiet;
      pen.strokeStyle = color("--line");
      pen.lineWidth = 1;
      pen.textAlign = "right";
      pen.textBaseline = "middle";
      for (let i = 0; i <= 2; i++) {
        const n = Math.round((most * i) / 2);
        pen.fillText(count(n), PAD.left - 8, y(n));
        pen.beginPath();
        pen.moveTo(PAD.left, Math.round(y(n)) + 0.5);
        pen.lineTo(width - PAD.right, Math.round(y(n)) + 0.5);
        pen.stroke();
      }
      pen.textBaseline = "top";
      const marks = width < 500 ? 3 : 6;
      for (let i = 0; i <= marks; i++) {
        const t = low + ((1 - low) * i) / marks;
        pen.textAlign = i === 0 ? "left" : i === marks ? "right" : "center";
        pen.fillText(t.toFixed(2), x(t), height - PAD.bottom + 8);
      }
      pen.beginPath();
      pen.moveTo(x(curve[0]), y(0));
      for (let i = 0; i < curve.length; i += 3) pen.lineTo(x(curve[i]), y(base + curve[i + at]));
      pen.lineTo(x(1), y(0));
      pen.globalAlpha = 0.14;
      pen.fillStyle = color("--accent");
      pen.fill();
      pen.globalAlpha = 1;
      pen.beginPath();
      for (let i = 0; i < curve.length; i += 3) pen.lineTo(x(curve[i]), y(base + curve[i + at]));
      pen.strokeStyle = color("--accent");
      pen.lineWidth = 2;
      pen.lineJoin = "round";
      pen.stroke();
      pen.beginPath();
      pen.setLineDash([4, 4]);
      pen.strokeStyle = scale.quiet;
      pen.lineWidth = 1.5;
      pen.moveTo(x(Math.max(low, store.state.threshold)), PAD.top);
      pen.lineTo(x(Math.max(low, store.state.threshold)), height - PAD.bottom);
      pen.stroke();
      pen.setLineDash([]);
      draw();
    };

    const draw = () => {
      const pen = canvas.getContext("2d");
      if (!pen || !scale || !canvas.width) return;
      const ratio = devicePixelRatio || 1;
      const { ink, base, x, y } = scale;
      const shown = base + (view ? (plotted === "clusters" ? view.clusters : view.clustered) : 0);
      pen.setTransform(1, 0, 0, 1, 0, 0);
      pen.clearRect(0, 0, canvas.width, canvas.height);
      pen.drawImage(still, 0, 0);
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.beginPath();
      pen.strokeStyle = pen.fillStyle = ink;
      pen.lineWidth = 1.5;
      pen.moveTo(x(value), PAD.top);
      pen.lineTo(x(value), canvas.height / ratio - PAD.bottom);
      pen.stroke();
      pen.beginPath();
      pen.arc(x(value), y(shown), 5, 0, 7);
      pen.fill();
      canvas.setAttribute("aria-label", `${plotted} by threshold: ${shown} at ${value.toFixed(3)}`);
    };

    const ask = () => {
      frame = 0;
      worker?.postMessage({ type: "at", value, ticket: ++ticket });
    };

    /** @param {number} next */
    const choose = (next) => {
      turn += 1;
      value = Math.min(1, Math.max(low, next));
      slider.value = String(Math.round((STEPS * (value - low)) / (1 - low || 1)));
      number.value = value.toFixed(3);
      slider.setAttribute("aria-valuetext", value.toFixed(3));
      // one request a frame; the worker answers the last one
      if (!frame) frame = requestAnimationFrame(ask);
    };

    /** @param {number} next */
    const slide = (next) => {
      if (Math.abs(next - value) > 1e-9) moved = true;
      choose(next);
    };
    const back = () => {
      moved = false;
      choose(store.state.threshold);
    };

    const commit = async () => {
      if (Math.abs(value - store.state.threshold) <= 1e-9) return;
      moved = false;
      try {
        const answer = await store.command("threshold", { value });
        toast(answer.text ?? "Threshold set.", { action: "Undo", run: () => void store.undo().catch(toastError) });
        say(`Threshold ${value.toFixed(3)}`);
      } catch (error) {
        toastError(error);
      }
    };

    const begin = async () => {
      forest ??= fetchForest();
      forest.catch(() => (forest = null));
      const data = await forest;
      if (signal.aborted) return;
      const images = store.state.run.images;
      const frozen = new Uint8Array(images);
      fixedClusters = 0;
      fixedImages = 0;
      const state = /** @type {import("../types.js").State & {held?: number[]}} */ (store.state);
      for (const image of [...(state.held ?? []), ...state.rejected]) frozen[image] = 1;
      for (const cluster of store.clusters.values()) {
        if (!(/** @type {{fixed?: boolean}} */ (cluster).fixed)) continue;
        fixedClusters += 1;
        fixedImages += cluster.members.length;
        for (const image of cluster.members) frozen[image] = 1;
      }
      fixed.textContent = fixedClusters
        ? `${plural(fixedClusters, "cluster")} that you worked on ${fixedClusters === 1 ? "stays" : "stay"} as ${fixedClusters === 1 ? "it is" : "they are"}.`
        : "";
      const threshold = store.state.threshold;
      if (worker) {
        worker.postMessage({ type: "setup", images, frozen, threshold });
        return;
      }
      worker = new Worker("static/threshold-worker.js", { type: "module" });
      worker.addEventListener("message", (event) => {
        const message = event.data;
        if (message.type === "ready") {
          low = message.floor;
          now = message.now;
          curve = message.curve;
          number.min = String(low);
          if (!message.links) {
            body.replaceChildren(empty("No links to slide over.", fixedClusters ? "You worked on every cluster: another threshold changes none." : "The run linked no images."));
            return;
          }
          if (!canvas.isConnected) body.replaceChildren(...layout());
          drawCurve();
          choose(value);
        } else if (message.type === "step") {
          if (message.turn === turn) slide(message.value);
        }
        else if (message.type === "at" && message.ticket === ticket) {
          view = message;
          show();
        }
      });
      const copy = data.slice(0);
      worker.postMessage({ type: "setup", images, forest: copy, frozen, threshold }, [copy]);
    };

    const layout = () => [
      h(
        "section",
        { class: "threshold-top" },
        h("div", { class: "threshold-bar" }, which.node, h("span", { class: "grow" }), number, reset, set),
        canvas,
        slider,
        h("p", { class: "quiet-text threshold-keys" }, kbd("←"), kbd("→"), " next change", kbd("Shift"), " ten at once", h("span", { class: "legend" }, "dashed: the threshold now")),
        fixed,
      ),
      h(
        "dl",
        { class: "stats" },
        h("div", {}, h("dt", {}, "Clusters"), h("dd", {}, stat.clusters, stat.clustersChange)),
        h("div", {}, h("dt", {}, "Clustered images"), h("dd", {}, stat.clustered, stat.clusteredChange)),
        h("div", {}, h("dt", {}, "Outliers"), h("dd", {}, stat.outliers, stat.outliersChange)),
        h("div", {}, h("dt", {}, "Largest cluster"), h("dd", {}, stat.largest, stat.largestChange)),
      ),
      h("div", { class: "pair-columns" }, lost.node, won.node),
    ];

    slider.addEventListener("input", () => slide(low + (1 - low) * (Number(slider.value) / STEPS)));
    number.addEventListener("change", () => slide(Number(number.value) || low));
    number.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        slide(Number(number.value) || low);
        void commit();
      } else if (event.key === "Escape") {
        back();
        number.blur();
      }
    });
    /** @param {PointerEvent} event */
    const point = (event) => {
      const box = canvas.getBoundingClientRect();
      const share = (event.clientX - box.left - PAD.left) / (box.width - PAD.left - PAD.right);
      slide(low + (1 - low) * Math.min(1, Math.max(0, share)));
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      point(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons) point(event);
    });
    const resized = new ResizeObserver(drawCurve);
    resized.observe(canvas);
    signal.addEventListener("abort", () => resized.disconnect());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawCurve, { signal });
    const theme = new MutationObserver(drawCurve);
    theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    signal.addEventListener("abort", () => theme.disconnect());

    /** @param {number} steps */
    const step = (steps) => worker?.postMessage({ type: "step", value, steps, turn });
    const right = ["ArrowRight", "l"];
    const left = ["ArrowLeft", "h"];
    keys.bind("Threshold", [
      { keys: right, text: "to the next higher threshold that changes something", run: () => step(1) },
      { keys: left, text: "to the next lower one", run: () => step(-1) },
      { keys: ["shift+ArrowRight", "L"], text: "ten changes higher", run: () => step(10) },
      { keys: ["shift+ArrowLeft", "H"], text: "ten changes lower", run: () => step(-10) },
      { keys: ["Enter"], text: "set the threshold", edits: true, run: () => void commit() },
      { keys: ["Escape"], text: "back to the threshold now", run: () => back() },
    ]);
    slider.addEventListener("keydown", (event) => {
      const steps = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      if (!steps) return;
      event.preventDefault();
      step(event.shiftKey ? 10 * steps : steps);
    });
    store.on(
      "change",
      () => {
        // a slider that was moved on meanwhile stays where it is
        if (!moved) value = store.state.threshold;
        void begin().catch(toastError);
      },
      signal,
    );
    if (store.state.threshold === null) {
      body.replaceChildren(empty("This run has no threshold.", "Its clusters are those of models of scikit-learn."));
      return;
    }
    try {
      await begin();
    } catch (error) {
      body.replaceChildren(empty("The spanning forest cannot be loaded.", error instanceof Error ? error.message : String(error)));
    }
  },
};
