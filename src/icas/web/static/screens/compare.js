/** Screen *Compare*: one to four images side by side, with the same zoom and place. */

import { decide } from "../decide.js";
import { title } from "../ordering.js";
import { paint } from "../painting.js";
import { bytes, button, h, icon, toast, toastError } from "../ui.js";

/** @typedef {import("../types.js").Context} Context */
/** @typedef {import("../types.js").Info} Info */

/**
 * @typedef {object} Pane
 * @property {number} image
 * @property {HTMLElement} node
 * @property {HTMLElement} port
 * @property {HTMLElement} stage
 * @property {HTMLImageElement} img
 * @property {HTMLImageElement} other the reference, laid over it in the difference view
 * @property {HTMLElement} facts
 * @property {Info | null} info
 */

const MOST = 4;
const ZOOMS = [1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32];

/** Images compared last, for the navigation. */
let last = "";

/** @type {((params: string[]) => void) | null} */
let show = null;

/** @type {import("../types.js").Screen} */
export const compare = {
  id: "compare",
  title: "Compare",
  key: "p",
  mount(root, context) {
    show = build(root, context);
    show(context.params);
  },
  update(params) {
    show?.(params);
    return show !== null;
  },
  unmount() {
    show = null;
  },
};

/**
 * @param {HTMLElement} root
 * @param {Context} context
 */
function build(root, context) {
  const { store, keys, go, signal } = context;
  /** @type {Pane[]} */
  let panes = [];
  let active = 0;
  let zoom = 1;
  let center = { x: 0.5, y: 0.5 };
  let difference = false;
  let gain = 4;

  const back = button({ label: "Back", icon: "back", key: "Esc", run: () => leave() });
  const zoomText = h("output", { class: "zoom" });
  const out = button({ label: "Zoom out", icon: "minus", key: "-", bare: true, quiet: true, run: () => zoomBy(-1) });
  const into = button({ label: "Zoom in", icon: "plus", key: "+", bare: true, quiet: true, run: () => zoomBy(1) });
  const fit = button({ label: "Fit", icon: "fit", key: "f", class: "short", run: () => reset() });
  const actual = button({ label: "Actual pixels", icon: "pixels", key: "p", class: "short", run: () => pixels() });
  const differ = button({ label: "Difference", icon: "difference", key: "d", run: () => toggleDifference() });
  const gainInput = h("input", { type: "range", min: 1, max: 16, step: 1, value: gain, "aria-label": "Gain of the difference" });
  const gainText = h("output", {});
  const gainNode = h("label", { class: "size-range", hidden: true }, "Gain", gainInput, gainText);
  const keep = button({ label: "Keep as best", icon: "star", key: "b", edits: true, run: () => void best() });
  const drop = button({ label: "Reject", icon: "cross", key: "x", edits: true, run: () => void reject() });
  const painting = button({ label: "Paint", icon: "paint", key: "P", run: () => paint(store, panes[active]?.image) });
  painting.hidden = !store.state.paint;
  const board = h("div", { class: "board" });
  const empty = h(
    "div",
    { class: "empty", hidden: true },
    h("h2", {}, "Nothing to compare"),
    h("p", {}, "Open a cluster, select two to four images and press c."),
    h("a", { class: "button", href: "#/clusters" }, "All clusters"),
  );
  const place = h("span", { class: "quiet-text" });
  root.append(
    h(
      "div",
      { class: "screen-head" },
      back,
      h("h1", { class: "spoken" }, "Compare"),
      place,
      h("span", { class: "spring" }),
      h("div", { class: "zooms" }, out, zoomText, into),
      fit,
      actual,
      differ,
      gainNode,
      painting,
      keep,
      drop,
    ),
    board,
    empty,
  );

  const observer = new ResizeObserver(() => layout());

  /** @param {string[]} params */
  function open(params) {
    const text = params[0] ?? last;
    const total = store.state.run.images;
    const numbers = text
      .split(",")
      .map(Number)
      .filter((image) => Number.isInteger(image) && image >= 0 && image < total);
    const images = text === "" ? [] : [...new Set(numbers)].slice(0, MOST);
    last = images.join(",");
    board.hidden = images.length === 0;
    empty.hidden = images.length > 0;
    active = Math.min(active, Math.max(images.length - 1, 0));
    panes = images.map(makePane);
    board.dataset.count = String(images.length);
    board.replaceChildren(...panes.map((pane) => pane.node));
    // the facts below the images may need more lines once they are known
    observer.disconnect();
    for (const pane of panes) observer.observe(pane.port);
    if (images.length < 2) difference = false;
    reset();
    draw();
    void loadInfo();
    board.tabIndex = -1;
    board.focus({ preventScroll: true });
  }

  /**
   * @param {number} image
   * @returns {Pane}
   */
  function makePane(image) {
    const img = h("img", { alt: store.file(image), draggable: "false" });
    const other = h("img", { alt: "", draggable: "false", class: "reference" });
    const stage = h("div", { class: "stage" }, img, other);
    const port = h("div", { class: "port" }, stage, h("span", { class: "port-note" }));
    const facts = h("dl", { class: "pane-facts" });
    const node = h("figure", { class: "pane" }, port, h("figcaption", {}, facts));
    /** @type {Pane} */
    const pane = { image, node, port, stage, img, other, facts, info: null };
    img.addEventListener("load", () => layout());
    img.addEventListener("error", () => port.classList.add("failed"));
    img.src = store.full(image);
    node.addEventListener("pointerdown", () => activate(panes.indexOf(pane)));
    gestures(pane);
    drawFacts(pane);
    return pane;
  }

  // --- zoom and pan, shared by all panes

  /**
   * @param {Pane} pane
   * @returns {number} pixels of the screen for one of the image at zoom 1
   */
  function fitScale(pane) {
    const { clientWidth, clientHeight } = pane.port;
    const { naturalWidth, naturalHeight } = pane.img;
    return naturalWidth ? Math.min(clientWidth / naturalWidth, clientHeight / naturalHeight) : 1;
  }

  function layout() {
    for (const pane of panes) {
      const { naturalWidth: w, naturalHeight: hgt } = pane.img;
      if (!w) continue;
      const scale = fitScale(pane) * zoom;
      const x = pane.port.clientWidth / 2 - center.x * w * scale;
      const y = pane.port.clientHeight / 2 - center.y * hgt * scale;
      pane.stage.style.width = `${w}px`;
      pane.stage.style.height = `${hgt}px`;
      pane.stage.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
      pane.stage.classList.toggle("pixels", scale * devicePixelRatio >= 3);
    }
    const first = panes[active];
    const percent = first ? Math.round(100 * fitScale(first) * zoom * devicePixelRatio) : 100;
    zoomText.textContent = `${percent} %`;
    out.disabled = zoom <= 1;
  }

  /**
   * @param {number} next
   * @param {{x: number, y: number}} [at] place of the image that stays where it is
   */
  function setZoom(next, at = center) {
    const to = Math.min(Math.max(next, 1), 64);
    center = clamp({
      x: at.x + (center.x - at.x) * (zoom / to),
      y: at.y + (center.y - at.y) * (zoom / to),
    }, to);
    zoom = to;
    layout();
  }

  /**
   * @param {{x: number, y: number}} point
   * @param {number} scale
   */
  function clamp(point, scale) {
    const half = 0.5 / scale;
    return { x: Math.min(Math.max(point.x, half), 1 - half), y: Math.min(Math.max(point.y, half), 1 - half) };
  }

  /** @param {number} way */
  function zoomBy(way) {
    const next = way > 0 ? ZOOMS.find((one) => one > zoom * 1.01) : [...ZOOMS].reverse().find((one) => one < zoom * 0.99);
    setZoom(next ?? (way > 0 ? zoom : 1));
  }

  function reset() {
    zoom = 1;
    center = { x: 0.5, y: 0.5 };
    layout();
  }

  function pixels() {
    const pane = panes[active];
    if (pane) setZoom(1 / (fitScale(pane) * devicePixelRatio));
  }

  /**
   * @param {Pane} pane
   * @param {{clientX: number, clientY: number}} event
   */
  function pointIn(pane, event) {
    const box = pane.port.getBoundingClientRect();
    const scale = fitScale(pane) * zoom;
    return {
      x: center.x + (event.clientX - box.left - box.width / 2) / (pane.img.naturalWidth * scale || 1),
      y: center.y + (event.clientY - box.top - box.height / 2) / (pane.img.naturalHeight * scale || 1),
    };
  }

  /** @param {Pane} pane */
  function gestures(pane) {
    /** @type {Map<number, {clientX: number, clientY: number}>} */
    const touches = new Map();
    let spread = 0;
    pane.port.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        setZoom(zoom * Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0018)), pointIn(pane, event));
      },
      { passive: false },
    );
    pane.port.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      touches.set(event.pointerId, { clientX: event.clientX, clientY: event.clientY });
      pane.port.setPointerCapture(event.pointerId);
      spread = 0;
    });
    pane.port.addEventListener("pointermove", (event) => {
      const before = touches.get(event.pointerId);
      if (!before) return;
      const now = { clientX: event.clientX, clientY: event.clientY };
      touches.set(event.pointerId, now);
      if (touches.size === 2) {
        const [a, b] = [...touches.values()];
        const apart = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
        const middle = { clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 };
        if (spread) setZoom((zoom * apart) / spread, pointIn(pane, middle));
        spread = apart;
        return;
      }
      const from = pointIn(pane, before);
      const to = pointIn(pane, now);
      center = clamp({ x: center.x + from.x - to.x, y: center.y + from.y - to.y }, zoom);
      layout();
    });
    /** @param {PointerEvent} event */
    const end = (event) => {
      touches.delete(event.pointerId);
      spread = 0;
    };
    pane.port.addEventListener("pointerup", end);
    pane.port.addEventListener("pointercancel", end);
    pane.port.addEventListener("dblclick", (event) => {
      const actualZoom = 1 / (fitScale(pane) * devicePixelRatio);
      if (zoom > 1.01) reset();
      else setZoom(Math.max(2, actualZoom), pointIn(pane, event));
    });
  }

  // --- difference

  function toggleDifference() {
    if (panes.length < 2) {
      toast("The difference needs two images.");
      return;
    }
    difference = !difference;
    draw();
  }

  function draw() {
    board.classList.toggle("difference", difference);
    board.style.setProperty("--gain", String(gain));
    differ.setAttribute("aria-pressed", String(difference));
    differ.disabled = panes.length < 2;
    gainNode.hidden = !difference;
    gainText.textContent = `${gain}×`;
    panes.forEach((pane, i) => {
      const reference = difference && i === 0;
      const shows = difference && i > 0;
      if (shows && pane.other.dataset.image !== String(panes[0].image)) {
        pane.other.src = store.full(panes[0].image);
        pane.other.dataset.image = String(panes[0].image);
      }
      pane.other.hidden = !shows;
      pane.stage.classList.toggle("differs", shows);
      pane.node.classList.toggle("active", i === active);
      pane.node.setAttribute("aria-current", String(i === active));
      const note = pane.port.querySelector(".port-note");
      if (note) note.textContent = reference ? "reference" : shows ? "difference from the reference" : "";
      drawFacts(pane);
    });
    const current = panes[active];
    keep.disabled = !current || !store.clusterOf(current.image);
    drop.disabled = !current;
    const home = current && store.clusterOf(current.image);
    place.textContent = home ? title(home) : current ? outside(current.image) : "";
  }

  /** @param {number} image */
  function outside(image) {
    return store.state.rejected.includes(image) ? "Rejected" : "Outlier";
  }

  /** @param {number} index */
  function activate(index) {
    if (index < 0 || index >= panes.length) return;
    active = index;
    draw();
    layout();
    context.say(store.file(panes[active].image));
  }

  // --- facts

  async function loadInfo() {
    const asked = panes;
    await Promise.all(
      asked.map(async (pane) => {
        try {
          pane.info = await store.info(pane.image, signal);
        } catch (error) {
          if (panes === asked) toastError(error);
        }
      }),
    );
    if (panes === asked) draw();
  }

  /** @param {Pane} pane */
  function drawFacts(pane) {
    const { info, image } = pane;
    const home = store.clusterOf(image);
    const isBest = home !== undefined && store.state.best[home.id] === image;
    /** @param {(info: Info) => number} value */
    const most = (value) => {
      const all = panes.map((one) => one.info && value(one.info));
      return info !== null && panes.length > 1 && all.every((one) => one !== null) && new Set(all).size > 1 && value(info) === Math.max(...all.map(Number));
    };
    /**
     * @param {string} label
     * @param {string} value
     * @param {boolean} [good]
     */
    const fact = (label, value, good = false) =>
      h("div", { class: good ? "good" : "" }, h("dt", {}, label), h("dd", {}, value));
    const file = h("div", { class: "pane-file", title: info?.path ?? store.file(image) }, isBest && icon("star"), h("dt", { class: "spoken" }, "Path"), h("dd", {}, ...pathParts(info?.path ?? store.file(image))));
    pane.facts.replaceChildren(
      file,
      fact("Size", info ? `${info.width} × ${info.height}` : "–", most((one) => one.width * one.height)),
      fact("Bytes", info ? bytes(info.bytes) : "–", most((one) => one.bytes)),
      fact("Sharpness", info ? info.sharpness.toFixed(info.sharpness < 100 ? 1 : 0) : "–", most((one) => one.sharpness)),
    );
  }

  // --- decisions

  async function best() {
    const pane = panes[active];
    const home = pane && store.clusterOf(pane.image);
    if (!home) return toast("The image is in no cluster.");
    const kept = store.state.best[home.id] === pane.image;
    await decide(context, "keep_best", { cluster: home.id, image: kept ? null : pane.image });
    draw();
  }

  async function reject() {
    const pane = panes[active];
    if (!pane) return;
    const rest = panes.map((one) => one.image).filter((image) => image !== pane.image);
    const next = rest.length ? rest : neighbours(pane.image, 1);
    // the next image is shown before the answer: the next key is for that one
    const sent = decide(context, "reject", { images: [pane.image] }, true);
    go(next.length ? `compare/${next.join(",")}` : "clusters");
    await sent;
  }

  /**
   * The image before or after one in its cluster.
   * @param {number} image
   * @param {number} by
   * @returns {number[]}
   */
  function neighbours(image, by) {
    const list = store.clusterOf(image)?.members ?? (store.state.rejected.includes(image) ? store.state.rejected : store.state.outliers);
    const next = list[list.indexOf(image) + by];
    return next === undefined ? [] : [next];
  }

  /** @param {number} by */
  function step(by) {
    if (panes.length > 1) return activate((active + by + panes.length) % panes.length);
    const [next] = panes.length ? neighbours(panes[0].image, by) : [];
    if (next !== undefined) go(`compare/${next}`);
  }

  function leave() {
    const image = panes[active]?.image;
    const home = image === undefined ? undefined : store.clusterOf(image);
    if (home) go(`cluster/${home.id}/${image}`);
    else if (image !== undefined) go(`cluster/${store.state.rejected.includes(image) ? "rejected" : "outliers"}/${image}`);
    else go("clusters");
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  const pan = (x, y) => () => {
    center = clamp({ x: center.x + (0.15 * x) / zoom, y: center.y + (0.15 * y) / zoom }, zoom);
    layout();
  };
  gainInput.addEventListener("input", () => {
    gain = Number(gainInput.value);
    draw();
  });
  signal.addEventListener("abort", () => observer.disconnect());
  store.on("change", draw, signal);
  store.on("images", draw, signal);
  keys.bind("Compare", [
    { keys: ["ArrowRight", "l"], text: "next image", run: () => step(1) },
    { keys: ["ArrowLeft", "h"], text: "previous image", run: () => step(-1) },
    { keys: ["+", "="], text: "zoom in (also: wheel)", run: () => zoomBy(1) },
    { keys: ["-"], text: "zoom out", run: () => zoomBy(-1) },
    { keys: ["f", "0"], text: "fit the images", run: reset },
    { keys: ["p"], text: "actual pixels", run: pixels },
    { keys: ["shift+ArrowRight"], text: "pan right (also: drag)", run: pan(1, 0) },
    { keys: ["shift+ArrowLeft"], text: "pan left", run: pan(-1, 0) },
    { keys: ["shift+ArrowDown", "j"], text: "pan down", run: pan(0, 1) },
    { keys: ["shift+ArrowUp", "k"], text: "pan up", run: pan(0, -1) },
    { keys: ["d"], text: "difference from the first image", run: toggleDifference },
    { keys: ["b"], text: "keep the image as the best of its cluster", edits: true, run: () => void best() },
    { keys: ["x"], text: "reject the image", edits: true, run: () => void reject() },
    ...(store.state.paint ? [{ keys: ["P"], text: "paint the image by segments", run: () => paint(store, panes[active]?.image) }] : []),
    { keys: ["Escape", "Enter"], text: "back to the cluster", run: leave },
  ]);
  return open;
}

/**
 * Folder and file name; only the folder is shortened where the room is small.
 * @param {string} path
 */
function pathParts(path) {
  const end = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1;
  return [h("span", { class: "folder" }, path.slice(0, end)), h("span", { class: "base" }, path.slice(end))];
}
