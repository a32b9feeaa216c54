/** Entry of the painting page: header, tool bar, canvas, panels, keys. */

import { Keys } from "../keys.js";
import { reviewPlace } from "../painting.js";
import { button, count, h, icon, toast, toastError } from "../ui.js";
import { PANELS } from "./panels/index.js";
import { PaintStore } from "./store.js";
import { toolGroups } from "./tools/index.js";
import { Viewer } from "./viewer.js";

/** @typedef {import("./types.js").Tool} Tool */
/** @typedef {import("./types.js").PaintContext} PaintContext */
/** @typedef {import("./types.js").Binding} Binding */

const OPACITIES = [0.5, 0.75, 1, 0, 0.25];
/** CSS pixels that an arrow key moves the view. */
const STEP = 80;

/** @param {string} id */
function element(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`the page has no #${id}`);
  return node;
}

const store = new PaintStore();
const top_ = element("top");
const bar = element("toolbar");
const options = element("options");
const panels = element("panels");
const strip = element("strip");
const banner = element("banner");
const spoken = element("spoken");
const refuse = () => toast("This tab is read only: another tab paints.");
const keys = new Keys(() => store.readOnly, refuse);
const viewer = new Viewer(element("canvas"), store);
/** @param {string} text */
const say = (text) => {
  spoken.textContent = text;
};
/** @type {PaintContext} */
const context = { store, viewer, keys, tools: [], say, signal: new AbortController().signal };

// --- tools

/** @type {Tool | null} */
let before = null;
const groups = toolGroups(context, () => choose(before ?? tools[0]));
const tools = groups.flat();
context.tools = tools;
/** @type {Map<string, HTMLButtonElement>} */
const toolButtons = new Map();

/** @param {Tool} tool */
function choose(tool) {
  const { tool: old } = viewer;
  const why = tool.missing?.() ?? "";
  if (why) toast(`${tool.title}: ${why}`, { error: true });
  if (why && old) return;
  if (old === tool) return;
  old?.leave?.();
  before = old;
  tool.enter?.();
  viewer.tool = tool;
  store.view.tool = tool.id;
  store.keepView("tool");
  for (const [id, node] of toolButtons) {
    node.setAttribute("aria-pressed", String(id === tool.id));
    node.tabIndex = id === tool.id ? 0 : -1;
  }
  drawOptions(tool);
  keys.bind(tool.title, (tool.keys ?? []).map((binding) => ({ ...binding, group: tool.title })));
  say(`${tool.title}. ${tool.hint}`);
}

/** @param {Tool} tool */
function drawOptions(tool) {
  const own = h("div", { class: "option-row" });
  tool.options?.(own);
  const hint = h("span", { class: "hint", title: tool.hint }, tool.hint);
  options.replaceChildren(h("strong", { class: "tool-name" }, tool.title), own, hint, viewOptions);
}

/** @param {string} id */
const chooseById = (id) => {
  const tool = tools.find((one) => one.id === id);
  if (tool) choose(tool);
};

function buildToolbar() {
  for (const group of groups) {
    const part = h("div", { class: "tool-group", role: "group" });
    for (const tool of group) {
      const node = button({
        label: tool.title,
        icon: tool.icon,
        key: `Shift+${tool.key}`,
        bare: true,
        quiet: true,
        class: "tool",
        run: () => {
          choose(tool);
          viewer.over.focus({ preventScroll: true });
        },
      });
      node.dataset.tool = tool.id;
      node.append(h("span", { class: "tool-key", "aria-hidden": "true" }, tool.key));
      node.tabIndex = -1;
      toolButtons.set(tool.id, node);
      part.append(node);
    }
    bar.append(part);
  }
  bar.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const all = [...toolButtons.values()];
    const at = all.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    all[(at + step + all.length) % all.length].focus();
  });
}

viewer.over.addEventListener("pointerdown", (event) => {
  if (store.loaded && store.readOnly && event.button !== 1 && viewer.tool?.id !== "pipette") refuse();
});

// --- options of the view

const opacity = h("input", { type: "range", min: 0, max: 100, step: 5, "aria-label": "Opacity of the paint" });
opacity.addEventListener("input", () => setOpacity(Number(opacity.value) / 100));
const borders = button({ label: "Segment borders", icon: "borders", key: "e", bare: true, quiet: true, run: () => toggleBorders() });
const viewOptions = h(
  "div",
  { class: "view-options" },
  h("label", { class: "option-group", title: "Opacity of the paint (o)" }, icon("opacity"), opacity),
  borders,
);

/** @param {number} value */
function setOpacity(value) {
  store.view.opacity = value;
  store.keepView("opacity");
  opacity.value = String(Math.round(100 * value));
  opacity.setAttribute("aria-valuetext", `${opacity.value} %`);
  viewer.restyle();
}

function toggleBorders() {
  store.view.borders = !store.view.borders;
  store.keepView("borders");
  borders.setAttribute("aria-pressed", String(store.view.borders));
  viewer.restyle();
}

// --- zoom

const percent = h("output", { class: "zoom-text" });
const place = h("output", { class: "place" });
const fit = button({ label: "Whole image", icon: "fit", key: "0", bare: true, quiet: true, run: () => viewer.fit() });
const zoomBox = h(
  "div",
  { class: "zoom-box", role: "group", "aria-label": "Zoom" },
  button({ label: "Zoom out", icon: "minus", key: "-", bare: true, quiet: true, run: () => viewer.zoom(1 / 1.5) }),
  percent,
  button({ label: "Zoom in", icon: "plus", key: "+", bare: true, quiet: true, run: () => viewer.zoom(1.5) }),
  fit,
);
viewer.addEventListener("view", () => {
  const value = 100 * viewer.scale;
  percent.textContent = `${value < 10 ? value.toFixed(1) : Math.round(value)} %`;
});
viewer.addEventListener("pointer", () => {
  const { doc, pointer } = { doc: store.doc, pointer: viewer.pointer };
  if (!doc || !pointer?.inside) {
    place.textContent = "";
    return;
  }
  const code = doc.codeAt(pointer.row, pointer.col);
  const one = code > 0 ? store.classOf(code & 0xffff) : undefined;
  place.textContent = `${pointer.col}, ${pointer.row}${one ? ` · ${one.name} ${(code >> 16) + 1}` : ""}`;
});

// --- what is shown while an image is opened

const notice = h("div", { class: "opening", role: "status", hidden: true });
const preview = h("img", { class: "opening-image", alt: "", hidden: true });
preview.addEventListener("error", () => (preview.hidden = true));

/**
 * @param {{n: number, progress: number | null, error?: string}} detail
 */
function drawOpening({ progress, error }) {
  notice.hidden = false;
  const share = progress ? ` ${Math.round(100 * progress)} %` : "";
  notice.replaceChildren(
    error
      ? h("div", { class: "opening-text bad" }, icon("warn"), h("span", {}, error))
      : h("div", { class: "opening-text" }, h("span", { class: "spinner" }), h("span", {}, `Segmenting…${share}`)),
  );
}

// --- header

const title = h("div", { class: "run" });
const saving = h("span", { class: "saving" }, "Sending…");
const takeOver = button({ label: "Edit here", quiet: true, run: () => void store.take().catch(toastError) });
takeOver.title = "Paint in this tab; the other one becomes read only";
const lock = h("span", { class: "lock", hidden: true, role: "status" }, "Read only", takeOver);
const undo = button({ label: "Undo", icon: "undo", key: "z", bare: true, quiet: true, edits: true, run: () => void turn("undo") });
const redo = button({ label: "Redo", icon: "redo", key: "y", bare: true, quiet: true, edits: true, run: () => void turn("redo") });
const slot = h("div", { class: "header-slot" });

function drawHeader() {
  if (!store.loaded) return;
  const { doc, current } = store;
  const name = store.file(Math.max(0, current));
  const note = doc?.info.note;
  title.replaceChildren(
    h("strong", { title: name }, name),
    h("span", { class: "run-facts" }, `${count(current + 1)} of ${count(store.state.images)}${doc ? ` · ${doc.width} × ${doc.height}` : ""}${note ? ` · ${note}` : ""}`),
  );
  undo.disabled = !doc?.undo;
  redo.disabled = !doc?.redo;
  undo.title = doc?.undo ? `Undo: ${doc.undo} (z)` : "Nothing to undo";
  redo.title = doc?.redo ? `Redo: ${doc.redo} (y)` : "Nothing to redo";
  lock.hidden = !store.readOnly;
  document.body.toggleAttribute("data-read-only", store.readOnly);
  document.title = `${name} · icas painting`;
}

/** @param {"undo" | "redo"} way */
async function turn(way) {
  if (!store.doc) return;
  if (!store.waiting && !store.doc[way]) {
    toast(way === "undo" ? "Nothing to undo." : "Nothing to redo.");
    return;
  }
  try {
    const answer = await store[way]();
    if (answer.text) say(answer.text);
  } catch (error) {
    toastError(error);
  }
}

function reset() {
  store
    .command("reset")
    .then(() => toast("All labels and drawn edges cleared.", { action: "Undo", run: () => void turn("undo") }))
    .catch(toastError);
}

// --- keys

/** @param {string} label */
function newObject(label) {
  const one = store.classOf(store.selected);
  if (!one) return toast("There is no class yet: add one first.");
  const number = store.newObject();
  toast(`${one.name}: ${label} ${number}`);
}

/** @type {Binding[]} */
const painting = [
  { keys: ["z", "ctrl+z"], text: "undo", group: "Paint", edits: true, run: () => void turn("undo") },
  { keys: ["y", "ctrl+y", "ctrl+Z"], text: "redo", group: "Paint", edits: true, run: () => void turn("redo") },
  { keys: ["r"], text: "clear all labels and drawn edges (undo restores them)", group: "Paint", edits: true, run: reset },
  { keys: ["b"], text: "brush, or back to filling", group: "Paint", run: () => chooseById(viewer.tool?.id === "brush" ? "fill" : "brush") },
  { keys: ["c"], text: "edge line, or back to filling", group: "Paint", run: () => chooseById(viewer.tool?.id === "cut" ? "fill" : "cut") },
  {
    keys: ["a"],
    text: "object by clicks or a box, or back to filling",
    group: "Paint",
    run: () => {
      const prompts = tools.filter((tool) => tool.missing && !tool.missing());
      const now = prompts.some((tool) => tool === viewer.tool);
      if (now || !prompts.length) chooseById("fill");
      else choose(prompts[0]);
    },
  },
  { keys: ["i"], text: "start a new object of the class", group: "Classes", edits: true, run: () => newObject("object") },
  {
    keys: ["k"],
    text: "continue the object under the pointer",
    group: "Classes",
    mouse: ["Alt+click"],
    run: () => {
      const at = viewer.pointer;
      if (!at || !store.pick(at.row, at.col)) return toast("No object under the pointer.");
      const one = store.classOf(store.selected);
      toast(`${one?.name ?? "class"}: object ${store.objectNumber()} continues`);
    },
  },
  {
    keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"],
    text: "choose a class",
    group: "Classes",
    run: (event) => {
      const one = store.classes.find(({ digit }) => digit === event.key);
      if (!one) return toast(`No class has the key ${event.key}.`);
      store.select(one.number);
      say(one.name);
    },
  },
  { keys: ["+", "="], text: "zoom in", group: "View", mouse: ["wheel"], run: () => viewer.zoom(1.5, viewer.pointer?.x, viewer.pointer?.y) },
  { keys: ["-"], text: "zoom out", group: "View", run: () => viewer.zoom(1 / 1.5, viewer.pointer?.x, viewer.pointer?.y) },
  { keys: ["0"], text: "show the whole image", group: "View", run: () => viewer.fit() },
  { keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], text: "move the view", group: "View", mouse: ["Space+drag", "middle drag"], run: (event) => move(event.key) },
  {
    keys: ["o"],
    text: "change the opacity of the labels",
    group: "View",
    run: () => setOpacity(OPACITIES[(OPACITIES.findIndex((one) => one === store.view.opacity) + 1) % OPACITIES.length]),
  },
  { keys: ["e"], text: "toggle segment borders", group: "View", run: toggleBorders },
  {
    keys: ["d"],
    text: "show each segment in a colour of its own",
    group: "View",
    run: () => {
      viewer.mosaic = !viewer.mosaic;
      viewer.restyle();
    },
  },
  {
    keys: ["v"],
    text: "show enlarged pixels smooth or sharp",
    group: "View",
    run: () => {
      store.view.smooth = !store.view.smooth;
      store.keepView("smooth");
      viewer.restyle();
    },
  },
];

/** @param {string} key */
function move(key) {
  const { tagName } = document.activeElement ?? {};
  if (tagName === "INPUT") return false;
  const [right, down] = { ArrowLeft: [STEP, 0], ArrowRight: [-STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] }[key] ?? [0, 0];
  viewer.pan(right, down);
  return true;
}

// --- connection

function drawConnection() {
  const lines = {
    connecting: "",
    online: "",
    offline: "No connection to the server. What you paint waits and is sent when it is back.",
    refused: "The server refused this page. Open the address that segmentimg serve printed: this page then continues.",
  };
  const line = lines[store.connection];
  banner.textContent = line;
  banner.hidden = !line;
  document.body.dataset.connection = store.connection;
}

// --- start

/** Number of the image in the address: `#/17`. */
function addressed() {
  const found = /^#\/(\d+)$/.exec(location.hash);
  return found ? Number(found[1]) : -1;
}

function build() {
  const brand = h("a", { class: "brand", href: "#/", title: "icas painting" }, h("img", { src: "/static/icon.svg", alt: "", width: 24, height: 24 }), h("span", {}, "icas"));
  const drawer = button({
    label: "Classes and objects",
    icon: "panel",
    bare: true,
    quiet: true,
    class: "drawer-button",
    run: () => drawer.setAttribute("aria-expanded", String(document.body.toggleAttribute("data-drawer"))),
  });
  top_.append(brand, title, saving, lock, h("div", { class: "tools" }, undo, redo), slot, drawer);
  element("canvas").append(preview, notice, zoomBox, place);
  buildToolbar();
  for (const panel of PANELS) {
    const root =
      panel.slot === "right"
        ? h("section", { class: "panel", dataset: { panel: panel.id }, "aria-label": panel.title }, h("h2", {}, panel.title))
        : h("div", { class: "panel-part", dataset: { panel: panel.id } });
    (panel.slot === "right" ? panels : panel.slot === "bottom" ? strip : slot).append(root);
    panel.mount(root, context);
    if (panel.keys) keys.add(panel.title, panel.keys);
  }
  keys.add("Painting", painting);
  keys.add(
    "Tools",
    tools.map((tool) => ({ keys: [tool.key], text: "", run: () => choose(tool) })),
  );
  borders.setAttribute("aria-pressed", String(store.view.borders));
  opacity.value = String(Math.round(100 * store.view.opacity));
  const kept = tools.find((tool) => tool.id === store.view.tool && !tool.missing) ?? tools[0];
  choose(kept);
}

/**
 * Show why there is nothing to paint: the folder may be painted by another program.
 * @param {unknown} error
 */
function failed(error) {
  store.stop();
  banner.hidden = true;
  drawOpening({ n: 0, progress: null, error: error instanceof Error ? error.message : String(error) });
  if (location.pathname.endsWith("/paint/")) {
    notice.append(h("a", { class: "button", href: `../${reviewPlace()}` }, icon("back"), "Back to the review"));
  }
}

build();
const wanted = addressed();
if (wanted >= 0) store.view.image = wanted;
const keptTool = store.view.tool;
store.on("connection", drawConnection);
store.on("busy", (waiting) => {
  if (waiting) document.body.dataset.waiting = waiting;
  else delete document.body.dataset.waiting;
});
store.on("state", () => {
  drawHeader();
  for (const tool of tools) {
    const why = tool.missing?.() ?? "";
    const node = toolButtons.get(tool.id);
    node?.classList.toggle("missing", why !== "");
    if (node) node.title = why ? `${tool.title}: ${why}` : `${tool.title} (Shift+${tool.key})`;
  }
});
store.on("image", (n) => {
  drawHeader();
  delete document.body.dataset.image;
  place.textContent = "";
  percent.textContent = "";
  preview.src = store.thumb(n, 256);
  preview.hidden = false;
  notice.hidden = true;
  if (addressed() !== n) history.replaceState(null, "", `#/${n}`);
});
store.on("opening", drawOpening);
store.on("doc", (n) => {
  notice.hidden = true;
  preview.hidden = true;
  document.body.dataset.image = String(n);
  drawHeader();
  viewer.over.setAttribute("aria-label", `Image ${store.file(n)}`);
});
store.on("view", () => borders.setAttribute("aria-pressed", String(store.view.borders)));
store.on("objects", drawHeader);
store.on("files", drawHeader);
store.on("select", () => viewer.redraw());
addEventListener("hashchange", () => {
  const n = addressed();
  if (store.loaded && n >= 0 && n !== store.current && n < store.state.images) void store.open(n);
});
element("skip").addEventListener("click", (event) => {
  event.preventDefault();
  viewer.over.focus();
});
addEventListener("pagehide", () => store.stop());
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
store
  .start()
  .then(() => {
    const tool = tools.find((one) => one.id === keptTool);
    if (tool && !(tool.missing?.() ?? "")) choose(tool);
  })
  .catch(failed);
// for the console, tests and benchmarks
Object.assign(globalThis, { painting: { store, viewer, tools } });
