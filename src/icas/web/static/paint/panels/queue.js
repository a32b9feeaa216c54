/** The review queue: carried masks, least sure first; one key for each decision. */

import { button, count, h, plural, toast, toastError } from "../../ui.js";
import { thumbnail } from "../../grid.js";
import { percent } from "./strip.js";

/** @typedef {import("../types.js").PaintContext} PaintContext */
/** @typedef {import("./strip.js").Strip} Strip */

/**
 * @typedef {object} QueueRow
 * @property {number} image
 * @property {number} confidence 0 to 1
 * @property {string} state
 * @property {number | string | null} source image that the mask was carried from, or its name
 *
 * @typedef {object} Queue
 * @property {() => void} toggle open or leave the queue
 * @property {() => void} accept
 * @property {boolean} active
 */

/** Below this confidence a mask is doubtful; above `SURE` it is accepted without a person. */
const DOUBTFUL = 0.6;
const SURE = 0.95;

/**
 * @param {HTMLElement} root
 * @param {PaintContext} context
 * @param {() => Strip | null} strip
 * @returns {Queue}
 */
export function buildQueue(root, context, strip) {
  const { store, keys, say, signal } = context;
  /** @type {QueueRow[]} */
  let rows = [];
  /** @type {number[]} images decided since the queue was opened, the last one at the end */
  let decided = [];
  let total = 0;
  let active = false;
  let fixed = 0;

  const place = h("span", { class: "queue-place" });
  const meter = h("span", { class: "queue-fill" });
  const sure = h("strong", { class: "queue-sure" });
  const confidence = h("div", { class: "queue-confidence", title: "Probability that the mask is right (IoU of 0.75 or more)" }, sure, h("span", { class: "queue-meter" }, meter));
  const sourceImage = thumbnail();
  const sourceName = h("b", {});
  const source = h("button", { type: "button", class: "queue-source", title: "Open the painted image", on: { click: () => openSource() } }, sourceImage, h("span", {}, h("small", {}, "carried from"), sourceName));
  const message = h("span", { class: "queue-message" });
  const accept = button({ label: "Accept", icon: "check", key: "Space", primary: true, edits: true, run: () => void decide("accept") });
  const absent = button({ label: "Absent", icon: "absent", key: "x", edits: true, run: () => void decide("absent") });
  const skip = button({ label: "Skip", icon: "next", key: "n", bare: true, run: () => strip()?.step(1) });
  const back = button({ label: "Undo the last change or decision", icon: "undo", key: "z", bare: true, edits: true, run: () => void undo() });
  const again = button({ label: "Propagate again", icon: "again", edits: true, class: "queue-again", run: () => void carryAgain() });
  const bar = h("span", { class: "progress-fill" });
  const progressText = h("span", {});
  const progress = h("div", { class: "progress queue-progress", hidden: true, role: "status" }, progressText, h("span", { class: "progress-bar" }, bar));
  const close = button({ label: "Leave the queue", icon: "cross", key: "q", bare: true, quiet: true, run: () => leave() });
  root.append(
    h("h2", {}, "Carried masks"),
    place,
    confidence,
    source,
    message,
    h("span", { class: "spring" }),
    progress,
    h("div", { class: "queue-actions", role: "group", "aria-label": "Decision" }, accept, absent, skip, back),
    again,
    close,
  );
  root.hidden = true;

  // --- state

  const current = () => rows.find((row) => row.image === store.current);

  function draw() {
    const row = current();
    const done = rows.length === 0;
    place.textContent = `${count(decided.length)} of ${count(total)} decided`;
    confidence.hidden = source.hidden = !row;
    accept.hidden = absent.hidden = done;
    skip.hidden = done;
    accept.disabled = absent.disabled = !row || !store.doc;
    back.disabled = decided.length === 0 && !store.doc?.undo;
    again.classList.toggle("primary", done && fixed > 0);
    if (row) {
      sure.textContent = `${percent(row.confidence)} sure`;
      meter.style.width = percent(row.confidence).replace(" ", "");
      confidence.dataset.level = row.confidence < DOUBTFUL ? "high" : row.confidence < SURE ? "middle" : "low";
      const from = sourceOf(row);
      source.hidden = from < 0 && typeof row.source !== "string";
      sourceName.textContent = from >= 0 ? base(store.files[from] ?? "") : String(row.source ?? "");
      const url = from >= 0 ? store.thumb(from) : "";
      sourceImage.hidden = !url;
      if (url && sourceImage.getAttribute("src") !== url) sourceImage.src = url;
    }
    message.textContent = row
      ? store.doc?.undo
        ? "changed: Accept saves it as fixed"
        : ""
      : done
        ? fixed
          ? "All are decided. Propagate again: the fixed masks improve the others."
          : "All are decided."
        : "This image is not in the queue.";
  }

  /** @param {QueueRow} row */
  function sourceOf(row) {
    if (typeof row.source === "number") return row.source;
    return row.source === null ? -1 : store.files.indexOf(row.source);
  }

  function openSource() {
    const row = current();
    const from = row ? sourceOf(row) : -1;
    if (from >= 0) void store.open(from).catch(toastError);
  }

  function showRows() {
    strip()?.setQueue(rows.map((row) => row.image), new Map(rows.map((row) => [row.image, row.confidence])));
  }

  async function load() {
    const answer = await store.get("queue", signal);
    rows = answer.rows;
    total = rows.length + decided.length;
    showRows();
  }

  // --- actions

  async function enter() {
    try {
      decided = [];
      fixed = 0;
      await load();
    } catch (error) {
      return toastError(error);
    }
    if (!rows.length) {
      strip()?.setQueue(null);
      toast(store.state.queue === null ? "No masks were carried here: segmentimg propagate carries them." : "No carried mask waits for a decision.");
      return;
    }
    active = true;
    root.hidden = false;
    document.body.dataset.queue = "open";
    draw();
    say(`${plural(rows.length, "carried mask")}, least sure first`);
    if (!current()) await store.open(rows[0].image).catch(toastError);
  }

  function leave() {
    active = false;
    root.hidden = true;
    delete document.body.dataset.queue;
    strip()?.setQueue(null);
  }

  /** @param {"accept" | "absent"} op */
  async function decide(op) {
    const row = current();
    if (!row) return toast(rows.length ? "This image is not in the queue." : "All masks of the queue are decided.");
    if (!store.doc) return toast("The image is still being opened.");
    const at = rows.indexOf(row);
    const changed = op === "accept" && Boolean(store.doc.undo);
    const sent = store.command(op);
    rows = rows.filter((other) => other !== row);
    decided.push(row.image);
    if (changed) fixed += 1;
    const next = rows[Math.min(at, rows.length - 1)];
    showRows();
    draw();
    if (next) void store.open(next.image).catch(toastError);
    try {
      const answer = await sent;
      say(answer.text ?? "");
      if (!rows.length) draw();
    } catch (error) {
      toastError(error);
      rows.splice(Math.min(at, rows.length), 0, row);
      decided = decided.filter((image) => image !== row.image);
      if (changed) fixed -= 1;
      showRows();
      draw();
    }
  }

  /** Undo a change of the image; without one, the last decision. */
  async function undo() {
    try {
      if (store.doc?.undo || !decided.length) {
        await store.undo();
        return;
      }
      const image = decided[decided.length - 1];
      await store.open(image);
      await store.undo();
      decided.pop();
      await load();
      draw();
    } catch (error) {
      toastError(error);
    }
  }

  async function carryAgain() {
    try {
      showProgress(0, "");
      const answer = await store.command("redo_carrying");
      if (answer.text) say(answer.text);
    } catch (error) {
      progress.hidden = true;
      again.disabled = false;
      toastError(error);
    }
  }

  /**
   * @param {number} share 0 to 1
   * @param {string} text
   */
  function showProgress(share, text) {
    progress.hidden = false;
    again.disabled = true;
    progressText.textContent = text || `Carrying… ${Math.round(100 * share)} %`;
    bar.style.width = `${Math.round(100 * share)}%`;
  }

  store.on(
    "carrying",
    (/** @type {{progress?: number, text?: string, done?: boolean, error?: string}} */ event) => {
      if (!event.done) return showProgress(event.progress ?? 0, event.text ?? "");
      progress.hidden = true;
      again.disabled = false;
      if (event.error) toastError(event.error);
      else toast(event.text || "The masks were carried again.");
      fixed = 0;
      if (active) {
        decided = [];
        load()
          .then(() => {
            draw();
            return rows.length && !current() ? store.open(rows[0].image) : undefined;
          })
          .catch(toastError);
      }
    },
    signal,
  );
  for (const type of ["doc", "objects", "image", "files"]) store.on(type, () => active && draw(), signal);
  keys.add("Carried masks", [
    { keys: ["q"], text: "open or leave the queue of carried masks", run: () => toggle() },
    {
      keys: ["x"],
      text: "in the queue: the object is not in the image, then next",
      edits: true,
      run: () => active && (void decide("absent"), true),
    },
    {
      keys: ["z", "ctrl+z"],
      text: "in the queue, without changes in the image: undo the last decision",
      edits: true,
      run: () => active && (void undo(), true),
    },
  ]);

  function toggle() {
    if (active) leave();
    else void enter();
  }
  return {
    toggle,
    accept: () => void decide("accept"),
    get active() {
      return active;
    },
  };
}

/** @param {string} file */
function base(file) {
  return file.slice(file.lastIndexOf("/") + 1);
}
