/** Entry of the page: header, navigation, router, theme. */

import { Keys } from "./keys.js";
import { openApply } from "./screens/apply.js";
import { SCREENS } from "./screens/index.js";
import { Store } from "./store.js";
import { themeButton } from "./themes.js";
import { button, count, h, icon, plural, toast, toastError } from "./ui.js";

/** @typedef {import("./types.js").Screen} Screen */
/** @typedef {import("./types.js").Context} Context */

/** @param {string} id */
function element(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`the page has no #${id}`);
  return node;
}

const store = new Store();
const main = element("main");
const rail = element("rail");
const top_ = element("top");
const banner = element("banner");
const spoken = element("spoken");

const refuse = () => toast("This tab is read only: another tab edits the review.");
const keys = new Keys(() => store.readOnly, refuse);

/** @type {Screen | null} */
let shown = null;
/** @type {AbortController | null} */
let leaving = null;

/** The address of the screen that is shown. */
let routed = "";

/**
 * Show a screen at once: the event "hashchange" comes later, and the next key may come before it.
 * @param {string} path
 */
function go(path) {
  location.hash = `#/${path}`;
  if (location.hash !== routed) void route();
}

/** @param {string} text */
function say(text) {
  spoken.textContent = text;
}

async function route() {
  if (!store.loaded || !SCREENS.length) return;
  routed = location.hash;
  const [id, ...params] = location.hash.replace(/^#\/?/, "").split("/").map(decode);
  const screen = SCREENS.find((one) => one.id === id) ?? SCREENS[0];
  if (screen === shown && screen.update?.(params)) return;
  leaving?.abort();
  shown?.unmount?.();
  keys.clear();
  leaving = new AbortController();
  shown = screen;
  document.title = `${screen.title} · ${runName()} · icas`;
  document.body.dataset.screen = screen.id;
  for (const link of rail.querySelectorAll("a")) {
    const here = link.dataset.screen === screen.id || (screen.hidden && link.dataset.screen === SCREENS[0].id);
    if (here) {
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "nearest" });
    } else link.removeAttribute("aria-current");
  }
  const root = h("div", { class: `screen ${screen.id}` });
  main.replaceChildren(root);
  try {
    await screen.mount(root, { store, keys, params, go, say, signal: leaving.signal });
  } catch (error) {
    if (shown === screen) toastError(error);
  }
}

/** @param {string} part */
function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function runName() {
  return store.state.run.dst.replace(/[\\/]+$/, "").split(/[\\/]/).pop() || "result";
}

// --- undo and redo

/** @param {"undo" | "redo"} way */
async function turn(way) {
  if (store.loaded && !store.waiting && !store.state[way]) {
    toast(way === "undo" ? "Nothing to undo." : "Nothing to redo.");
    return;
  }
  try {
    const answer = await store[way]();
    if (answer.text) toast(answer.text);
  } catch (error) {
    toastError(error);
  }
}

const undo = button({ label: "Undo", icon: "undo", key: "z", bare: true, quiet: true, edits: true, run: () => void turn("undo") });
const redo = button({ label: "Redo", icon: "redo", key: "y", bare: true, quiet: true, edits: true, run: () => void turn("redo") });

const apply = button({ label: "Apply", key: "Ctrl+s", edits: true, class: "apply", run: () => void openApply(store) });

// --- header

const title = h("div", { class: "run" });
const bar = h("span", { class: "progress-fill" });
const progress = h("div", { class: "progress" }, h("span", { class: "progress-text" }), h("span", { class: "progress-bar" }, bar));
const takeOver = button({ label: "Edit here", quiet: true, run: () => void store.take().catch(toastError) });
takeOver.title = "Edit in this tab; the other one becomes read only";
const saving = h("span", { class: "saving" }, "Saving…");
const lock = h("span", { class: "lock", hidden: true, role: "status" }, "Read only", takeOver);

function drawHeader() {
  const { state } = store;
  const name = h("strong", { title: state.run.dst }, runName());
  const facts = `${plural(state.run.images, "image")} · ${state.run.method}${state.threshold === null ? "" : ` · threshold ${Number(state.threshold.toFixed(4))}`}`;
  title.replaceChildren(name, h("span", { class: "run-facts" }, facts));
  let done = 0;
  for (const cluster of store.clusters.values()) {
    if (cluster.state === "named" || cluster.state === "done") done += 1;
  }
  const all = store.clusters.size;
  const text = progress.firstElementChild;
  if (text) text.textContent = `${count(done)} of ${plural(all, "cluster")} decided`;
  bar.style.width = `${all ? (100 * done) / all : 0}%`;
  undo.disabled = !state.undo;
  redo.disabled = !state.redo;
  undo.title = state.undo ? `Undo: ${state.undo} (z)` : "Nothing to undo";
  redo.title = state.redo ? `Redo: ${state.redo} (y)` : "Nothing to redo";
  const label = apply.firstElementChild;
  if (label) label.textContent = `Apply ${count(state.pending)}`;
  apply.title = `Apply ${plural(state.pending, "command")} (Ctrl+s)`;
  apply.hidden = !state.pending;
  lock.hidden = !state.read_only;
  document.body.toggleAttribute("data-read-only", state.read_only);
}

function buildHeader() {
  const brand = h("a", { class: "brand", href: "#/clusters" }, h("img", { src: "static/icon.svg", alt: "", width: 24, height: 24 }), h("span", {}, "icas"));
  const help = button({ label: "Keys", icon: "help", key: "?", bare: true, quiet: true, run: () => void keys.help() });
  top_.append(brand, title, saving, lock, progress, apply, h("div", { class: "tools" }, undo, redo, themeButton(), help));
  for (const screen of SCREENS) {
    if (screen.hidden) continue;
    rail.append(
      h(
        "a",
        { href: `#/${screen.id}`, title: `${screen.title} (g ${screen.key})`, dataset: { screen: screen.id } },
        icon(screen.icon ?? screen.id),
        h("span", {}, screen.title),
      ),
    );
  }
}

// --- connection

function drawConnection() {
  const lines = {
    connecting: "",
    online: "",
    offline: "No connection to the server. Decisions wait and are sent when it is back.",
    refused: "The server refused this page. Open the address that clusterimg review printed: this page then continues.",
  };
  const line = lines[store.connection];
  banner.textContent = line;
  banner.hidden = !line;
  document.body.dataset.connection = store.connection;
}

keys.setGlobal([
  { keys: ["z", "ctrl+z"], text: "undo", edits: true, run: () => void turn("undo") },
  { keys: ["y", "ctrl+y"], text: "redo", edits: true, run: () => void turn("redo") },
  {
    keys: ["/"],
    text: "search for a class or file name",
    run: () => {
      const field = document.querySelector("[data-search]");
      if (field instanceof HTMLInputElement) {
        field.focus();
        field.select();
      } else go("clusters/search");
    },
  },
  { keys: ["ctrl+s"], text: "apply the decisions: the plan is shown first", edits: true, run: () => void openApply(store) },
  { keys: ["?"], text: "show the keys", run: () => void keys.help() },
]);
keys.setPlaces(
  SCREENS.filter((screen) => !screen.hidden).map((screen) => ({
    key: screen.key,
    title: screen.title,
    run: () => go(screen.id),
  })),
);

buildHeader();
store.on("connection", drawConnection);
store.on("busy", (waiting) => {
  if (waiting) document.body.dataset.waiting = waiting;
  else delete document.body.dataset.waiting;
});
store.on("change", (changed) => {
  drawHeader();
  document.body.dataset.rev = String(store.rev);
  if (changed === null && !shown) void route();
});
element("skip").addEventListener("click", (event) => {
  event.preventDefault();
  const list = main.querySelector(".scroller");
  if (list instanceof HTMLElement) list.focus();
  else main.focus();
});
addEventListener("hashchange", () => {
  if (location.hash !== routed) void route();
});
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[href^='#/']") : null;
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || event.defaultPrevented) return;
  event.preventDefault();
  go(String(link.getAttribute("href")).slice(2));
});
addEventListener("pagehide", () => store.stop());
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
store.start().catch(toastError);
