/** The file strip below the canvas: every image with its mark; filter, search, jump, next. */

import { VirtualGrid, thumbnail } from "../../grid.js";
import { button, count, h, icon, toast, toastError } from "../../ui.js";
import { Files, MARK_NAMES, MARKS } from "./files.js";

/** @typedef {import("../types.js").Mark} Mark */
/** @typedef {import("../types.js").PaintContext} PaintContext */

const WIDTH = 112;
const PLACE = "icas-paint-strip";

/**
 * @typedef {object} Strip
 * @property {Files} files
 * @property {(by: number) => void} step
 * @property {(images: number[] | null, sure?: Map<number, number>) => void} setQueue show the images of the queue, or all
 */

/**
 * @param {HTMLElement} root
 * @param {PaintContext} context
 * @returns {Strip}
 */
export function buildStrip(root, context) {
  const { store, keys, say, signal } = context;
  const files = new Files(store);
  /** @type {Map<number, number>} confidence of the images of the queue */
  let confidence = new Map();
  let folded = remembered();

  // --- head
  const filters = h("div", { class: "segments strip-filters", role: "group", "aria-label": "Show images" });
  const search = h("input", {
    type: "search",
    class: "field strip-search",
    placeholder: "Search (/)",
    "aria-label": "Search for a file name",
    spellcheck: "false",
  });
  const number = h("input", {
    type: "text",
    class: "field strip-number",
    inputmode: "numeric",
    autocomplete: "off",
    "aria-label": "Number of the image",
    title: "Go to an image by its number (g)",
  });
  const total = h("span", { class: "quiet-text" });
  const previous = button({ label: "Previous image", icon: "back", key: "p", bare: true, quiet: true, run: () => step(-1) });
  const next = button({ label: "Next image", icon: "next", key: "n", bare: true, quiet: true, run: () => step(1) });
  const untouched = button({ label: "Next untouched", key: "u", class: "strip-next", run: () => goNext("") });
  const unsure = button({ label: "Next unsure", key: "U", class: "strip-next", run: () => goNext("unsure") });
  const flag = button({ label: "Unsure", icon: "help", key: "w", edits: true, class: "strip-next strip-flag", run: () => toggleUnsure() });
  const fold = button({ label: "Fold the file strip", icon: "down", bare: true, quiet: true, class: "strip-fold", run: () => setFolded(!folded) });
  const done = h("span", { class: "strip-done" });
  const bar = h("div", { class: "strip-bar" }, done);
  const place = h("div", { class: "strip-place", role: "group", "aria-label": "Position" }, previous, number, total, next);
  const head = h("div", { class: "strip-head" }, fold, filters, search, h("span", { class: "spring" }), flag, untouched, unsure, place);
  const scroller = h("div", { class: "strip-images" });
  const empty = h("p", { class: "strip-empty quiet-text", hidden: true });
  flag.hidden = unsure.hidden = true; // until the state is there
  root.append(bar, head, scroller, empty);

  // --- thumbnails
  const grid = new VirtualGrid(scroller, {
    label: "Images",
    sideways: true,
    gap: 6,
    pad: 4,
    width: WIDTH,
    height: 0,
    create: () =>
      h(
        "div",
        { class: "shot" },
        h("span", { class: "shot-image" }, thumbnail()),
        h("span", { class: "shot-mark" }),
        h("span", { class: "shot-text" }, h("b", {}), h("span", {})),
      ),
    render,
  });

  /**
   * @param {HTMLElement} node
   * @param {number} index
   */
  function render(node, index) {
    const image = files.shown[index];
    const mark = files.mark(image);
    const name = files.name(image);
    const sure = confidence.get(image);
    const [holder, sign, text] = /** @type {HTMLElement[]} */ ([...node.children]);
    grid.image(/** @type {HTMLImageElement} */ (holder.firstElementChild), mark === "unreadable" ? "" : store.thumb(image));
    node.dataset.image = String(image);
    node.dataset.mark = mark;
    const words = sure === undefined ? MARKS[mark].text : `${MARKS[mark].text}, ${percent(sure)} sure`;
    node.title = `${name}: ${words}`;
    node.setAttribute("aria-label", `${image + 1}, ${name}, ${words}`);
    node.setAttribute("aria-selected", String(image === store.current));
    if (sign.dataset.mark !== mark) {
      sign.dataset.mark = mark;
      sign.replaceChildren(...(MARKS[mark].icon ? [icon(MARKS[mark].icon)] : []));
    }
    const [before, label] = /** @type {HTMLElement[]} */ ([...text.children]);
    before.textContent = sure === undefined ? count(image + 1) : percent(sure);
    label.textContent = name.slice(name.lastIndexOf("/") + 1);
  }

  // --- state
  function drawHead() {
    if (!store.loaded) return;
    const counts = files.counts();
    const kinds = MARK_NAMES.filter((mark) => counts[mark] > 0 || files.filter === mark);
    const focused = document.activeElement;
    const held = focused instanceof HTMLElement && filters.contains(focused) ? focused.dataset.filter : undefined;
    filters.replaceChildren(
      filterButton("all", "All", "", files.count),
      ...kinds.map((mark) => filterButton(mark, MARKS[mark].label, MARKS[mark].icon || "ring", counts[mark])),
    );
    for (const one of filters.querySelectorAll("button")) if (one.dataset.filter === held) one.focus();
    filters.hidden = search.hidden = files.queue !== null;
    unsure.hidden = counts.unsure === 0 || files.queue !== null;
    untouched.hidden = files.queue !== null;
    untouched.disabled = counts[""] === 0;
    total.textContent = `of ${count(files.count)}`;
    const finished = counts.saved + counts.absent;
    done.style.width = `${files.count ? (100 * finished) / files.count : 0}%`;
    bar.title = `${count(finished)} of ${count(files.count)} images are done`;
  }

  /**
   * @param {Mark | "all"} value
   * @param {string} label
   * @param {string} sign
   * @param {number} size
   */
  function filterButton(value, label, sign, size) {
    return h(
      "button",
      {
        type: "button",
        class: "segment",
        title: `${label}: ${count(size)}`,
        "aria-pressed": String(files.filter === value),
        dataset: { filter: value, mark: value },
        on: { click: () => setFilter(value) },
      },
      sign && icon(sign),
      h("span", { class: "segment-text" }, label),
      h("small", {}, count(size)),
    );
  }

  function drawImages() {
    if (!store.loaded) return;
    files.update();
    grid.setCount(files.shown.length);
    drawBody();
    drawCurrent(false);
  }

  function drawBody() {
    const none = files.shown.length === 0;
    scroller.hidden = folded || none;
    empty.hidden = folded || !none;
    if (!store.loaded) return;
    empty.textContent = files.queue ? "No carried mask waits." : "No image has this mark and these words in its name.";
  }

  /** @param {boolean} middle */
  function drawCurrent(middle) {
    const at = files.placeOf(store.current);
    grid.setCurrent(at, false);
    if (at >= 0 && !folded) grid.reveal(at, middle);
    drawPlace();
  }

  function drawPlace() {
    if (!store.loaded) return;
    if (document.activeElement !== number) number.value = store.current < 0 ? "" : String(store.current + 1);
    const marked = files.mark(store.current) === "unsure";
    flag.setAttribute("aria-pressed", String(marked));
    flag.title = `${marked ? "Clear the mark" : "Mark the image as unsure, to come back to it"} (w)`;
    flag.hidden = files.queue !== null || !store.state.ops?.includes("mark");
    previous.disabled = files.step(store.current, -1) < 0;
    next.disabled = files.step(store.current, 1) < 0;
  }

  /** @param {Mark | "all"} value */
  function setFilter(value) {
    files.filter = value;
    drawHead();
    drawImages();
    drawCurrent(true);
    say(`${count(files.shown.length)} images`);
  }

  /** @param {boolean} value */
  function setFolded(value) {
    folded = value;
    root.toggleAttribute("data-folded", folded);
    fold.setAttribute("aria-expanded", String(!folded));
    fold.replaceChildren(icon(folded ? "up" : "down"));
    const text = folded ? "Show the file strip" : "Fold the file strip";
    fold.title = `${text} (f)`;
    fold.setAttribute("aria-label", text);
    drawBody();
    if (!folded) drawCurrent(true);
    try {
      localStorage.setItem(PLACE, folded ? "folded" : "");
    } catch {
      // storage is blocked: it holds until the page closes
    }
  }

  // --- movement

  /** @param {number} image */
  function open(image) {
    void store.open(image).catch(toastError);
  }

  /** @param {number} by */
  function step(by) {
    const image = files.step(store.current, by);
    if (image >= 0) open(image);
    else toast(by > 0 ? "This is the last image." : "This is the first image.");
  }

  /** @param {Mark} mark */
  function goNext(mark) {
    const image = files.next(Math.max(store.current, 0), mark);
    if (image >= 0) open(image);
    else toast(mark === "unsure" ? "No other image is marked as unsure." : "No other image is untouched.");
  }

  function toggleUnsure() {
    store.command("mark", { unsure: files.mark(store.current) !== "unsure" }).catch(toastError);
  }

  function jump() {
    const text = number.value.replace(/[\s,]/g, "");
    const image = Number(text) - 1;
    if (/^\d+$/.test(text) && image >= 0 && image < files.count) {
      number.blur();
      open(image);
    } else {
      toast(`Give a number from 1 to ${count(files.count)}.`, { error: true });
      number.select();
    }
  }

  // --- events
  scroller.addEventListener("click", (event) => {
    const at = grid.indexOf(event);
    if (at >= 0) open(files.shown[at]);
  });
  scroller.addEventListener(
    "wheel",
    (event) => {
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.ctrlKey) return;
      event.preventDefault();
      scroller.scrollLeft += event.deltaMode ? event.deltaY * 40 : event.deltaY;
    },
    { passive: false },
  );
  scroller.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    /** @type {Record<string, number>} */
    const steps = { ArrowRight: 1, ArrowLeft: -1, PageDown: grid.page, PageUp: -grid.page, Home: -Infinity, End: Infinity };
    const by = steps[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const at = Math.max(0, Math.min(files.shown.length - 1, files.placeOf(store.current) + by));
    const image = files.shown[at];
    if (image !== undefined && image !== store.current) open(image);
  });
  search.addEventListener("input", () => {
    files.search = search.value;
    drawImages();
  });
  search.addEventListener("keydown", (event) => {
    if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
    if (event.key === "Escape" && search.value) {
      search.value = files.search = "";
      drawImages();
      drawCurrent(true);
    } else {
      search.blur();
      const hit = event.key === "Enter" && files.search ? files.firstHit() : -1;
      if (hit >= 0) open(hit);
    }
    event.preventDefault();
    event.stopPropagation();
  });
  number.addEventListener("focus", () => number.select());
  number.addEventListener("blur", () => drawCurrent(false));
  number.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter") jump();
    else if (event.key === "Escape") number.blur();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  let redraw = 0;
  /** @param {number[] | null} changed */
  function marked(changed) {
    if (changed === null) files.renamed();
    if (changed === null || files.filter !== "all") {
      // names come in pages and marks in bursts: the strip is drawn once
      redraw ||= requestAnimationFrame(() => {
        redraw = 0;
        drawHead();
        drawImages();
      });
      return;
    }
    drawHead();
    drawPlace();
    for (const image of changed) grid.refreshCell(files.placeOf(image));
  }
  store.on("state", () => marked(null), signal);
  store.on("files", marked, signal);
  store.on(
    "image",
    () => {
      const before = grid.current;
      if (files.placeOf(store.current) < 0 || files.filter !== "all" || files.search) drawImages();
      drawCurrent(true);
      grid.refreshCell(before);
    },
    signal,
  );
  signal.addEventListener("abort", () => {
    cancelAnimationFrame(redraw);
    grid.destroy();
  });
  keys.add("Images", [
    { keys: ["n", "PageDown"], text: "next image of the strip", run: () => step(1) },
    { keys: ["p", "PageUp"], text: "previous image", run: () => step(-1) },
    { keys: ["u"], text: "next image that is not painted", run: () => goNext("") },
    { keys: ["U"], text: "next image that is marked as unsure", run: () => goNext("unsure") },
    { keys: ["w"], text: "mark the image as unsure, or clear the mark", edits: true, run: () => toggleUnsure() },
    { keys: ["g"], text: "go to an image by its number", run: () => number.focus() },
    {
      keys: ["/"],
      text: "search for a file name",
      run: () => {
        if (folded) setFolded(false);
        search.focus();
        search.select();
      },
    },
    { keys: ["f"], text: "fold or show the file strip", run: () => setFolded(!folded) },
  ]);
  setFolded(folded);
  drawHead();
  drawImages();
  return {
    files,
    step,
    setQueue(images, sure = new Map()) {
      files.queue = images;
      confidence = sure;
      drawHead();
      drawImages();
      drawCurrent(true);
    },
  };
}

function remembered() {
  try {
    return localStorage.getItem(PLACE) === "folded";
  } catch {
    return false;
  }
}

/**
 * A confidence; never rounded up to certainty.
 * @param {number} value 0 to 1
 */
export function percent(value) {
  return `${Math.min(99, Math.round(100 * value))} %`;
}
