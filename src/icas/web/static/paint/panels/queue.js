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
 * @property {"carried" | "accepted" | "fixed" | "rejected"} state carried: it waits for a decision
 * @property {string} source file that the mask was carried from
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
  const { store, viewer, keys, say, signal } = context;
  /** @type {QueueRow[]} */
  let rows = [];
  /** @type {number[]} images decided since the queue was opened, the last one at the end */
  let decided = [];
  let active = false;
  /** Whether segment borders were shown before the queue, which hides them: they cover the mask. */
  let borders = false;
  /** Whether a fixed mask can improve the others. */
  let improvable = false;
  /** Requests for the queue; only the answer of the last one counts. */
  let asked = 0;

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
  const waiting = () => rows.filter((row) => row.state === "carried");

  function draw() {
    const row = current();
    const open = waiting().length;
    const decidable = row?.state === "carried";
    place.textContent = `${count(rows.length - open)} of ${count(rows.length)} decided`;
    confidence.hidden = source.hidden = !row;
    accept.hidden = absent.hidden = skip.hidden = open === 0;
    accept.disabled = absent.disabled = !decidable || !store.doc;
    back.disabled = decided.length === 0 && !store.doc?.undo;
    again.hidden = !improvable || !progress.hidden;
    again.classList.toggle("primary", open === 0);
    if (row) {
      sure.textContent = `${percent(row.confidence)} sure`;
      meter.style.width = percent(row.confidence).replace(" ", "");
      confidence.dataset.level = row.confidence < DOUBTFUL ? "high" : row.confidence < SURE ? "middle" : "low";
      const from = sourceOf(row);
      source.hidden = !row.source;
      source.disabled = from < 0;
      sourceName.textContent = base(row.source);
      const url = from >= 0 ? store.thumb(from) : "";
      sourceImage.hidden = !url;
      if (url && sourceImage.getAttribute("src") !== url) sourceImage.src = url;
    }
    message.textContent = describe(row, open);
  }

  /**
   * @param {QueueRow | undefined} row of the open image
   * @param {number} open images that wait
   */
  function describe(row, open) {
    if (!open) return improvable ? "All are decided. Propagate again: the fixed masks improve the others." : "All are decided.";
    if (!row) return "This image is not in the queue.";
    if (row.state !== "carried") return { accepted: "accepted", fixed: "fixed", rejected: "absent" }[row.state];
    return store.doc?.undo ? "changed: Accept stores it as fixed" : "";
  }

  /** @param {QueueRow} row */
  function sourceOf(row) {
    const name = base(row.source);
    return row.source ? store.files.findIndex((file) => base(file) === name) : -1;
  }

  function openSource() {
    const row = current();
    const from = row ? sourceOf(row) : -1;
    if (from >= 0) void store.open(from).catch(toastError);
  }

  /** @returns {Promise<boolean>} false: the server still looks for carried masks */
  async function load() {
    const ticket = ++asked;
    const answer = await store.get("queue", signal);
    if (ticket !== asked) return true;
    rows = answer.rows;
    improvable = answer.again;
    if (active) strip()?.setQueue(rows.map((row) => row.image), new Map(rows.map((row) => [row.image, row.confidence])));
    return !answer.wait;
  }

  // --- actions

  async function enter() {
    try {
      decided = [];
      if (!(await load())) return toast("The carried masks are being looked up: try again in a moment.");
    } catch (error) {
      return toastError(error);
    }
    const [first] = waiting();
    if (!first && !improvable) {
      return toast(store.state.queue === null ? "No masks were carried here: segmentimg propagate carries them." : "No carried mask waits for a decision.");
    }
    active = true;
    root.hidden = false;
    borders = store.view.borders;
    showBorders(false);
    document.body.dataset.queue = "open";
    strip()?.setQueue(rows.map((row) => row.image), new Map(rows.map((row) => [row.image, row.confidence])));
    draw();
    say(`${plural(waiting().length, "carried mask")}, least sure first`);
    if (first && current()?.state !== "carried") await store.open(first.image).catch(toastError);
  }

  function leave() {
    active = false;
    root.hidden = true;
    if (borders) showBorders(true);
    delete document.body.dataset.queue;
    strip()?.setQueue(null);
  }

  /** @param {boolean} shown */
  function showBorders(shown) {
    store.view.borders = shown;
    store.keepView("borders");
    viewer.restyle();
  }

  /** Choose the class of the mask, so that it can be fixed at once. */
  function chooseClass() {
    const objects = store.doc?.objects ?? [];
    if (!current() || !objects.length) return;
    const largest = objects.reduce((a, b) => (b.area > a.area ? b : a));
    store.setObject(largest.class, largest.number);
  }

  /** @param {"accept" | "absent"} op */
  async function decide(op) {
    const row = current();
    if (row?.state !== "carried") return toast(waiting().length ? "This image does not wait for a decision." : "All masks of the queue are decided.");
    if (!store.doc) return toast("The image is still being opened.");
    const at = rows.indexOf(row);
    const changed = Boolean(store.doc.undo);
    const sent = store.command(op);
    row.state = op === "absent" ? "rejected" : changed ? "fixed" : "accepted";
    decided.push(row.image);
    const next = [...rows.slice(at + 1), ...rows.slice(0, at)].find((other) => other.state === "carried");
    draw();
    if (next) void store.open(next.image).catch(toastError);
    try {
      const answer = await sent;
      say(answer.text ?? "");
    } catch (error) {
      toastError(error);
      decided = decided.filter((image) => image !== row.image);
    }
    await refresh();
  }

  /** Ask for the queue again, and show it. */
  async function refresh() {
    try {
      await load();
      if (active) draw();
    } catch (error) {
      toastError(error);
    }
  }

  /** Undo a change of the image; without one, the last decision. */
  async function undo() {
    try {
      const image = decided[decided.length - 1];
      if (!store.doc?.undo && image !== undefined && image !== store.current) await store.open(image);
      if (!store.doc?.undo) return toast("Nothing to undo.");
      const here = store.current;
      const answer = await store.undo();
      if (answer.text) say(answer.text);
      if (here === image) decided.pop();
    } catch (error) {
      toastError(error);
    }
    await refresh();
  }

  async function carryAgain() {
    try {
      showProgress(0, "");
      const answer = await store.command("redo_carrying");
      if (answer.text) say(answer.text);
    } catch (error) {
      endProgress();
      draw();
      toastError(error);
    }
  }

  /**
   * @param {number} share 0 to 1
   * @param {string} text
   */
  function showProgress(share, text) {
    progress.hidden = false;
    root.dataset.carrying = "";
    again.hidden = true;
    progressText.textContent = text || `Carrying… ${Math.round(100 * share)} %`;
    bar.style.width = `${Math.round(100 * share)}%`;
  }

  function endProgress() {
    progress.hidden = true;
    delete root.dataset.carrying;
  }

  store.on("doc", () => active && chooseClass(), signal);
  store.on(
    "carrying",
    (/** @type {{progress: number, text: string, done: boolean, error?: string | null}} */ event) => {
      if (!event.done) return showProgress(event.progress, event.text);
      endProgress();
      if (event.error ?? event.text) toast(event.error ?? event.text, { error: Boolean(event.error) });
      decided = [];
      if (!active) return;
      void refresh().then(() => {
        const [first] = waiting();
        if (first && current()?.state !== "carried") void store.open(first.image).catch(toastError);
      });
    },
    signal,
  );
  store.on("queue", () => active && void refresh(), signal);
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
