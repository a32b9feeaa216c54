/** The right end of the header: state of the saving, save, queue, review, theme, help. */

import { reviewPlace } from "../../painting.js";
import { themeButton } from "../../themes.js";
import { button, count, h, icon, plural, toast, toastError } from "../../ui.js";
import { FORMATS } from "./formats.js";
import { openHelp } from "./help.js";

/** @typedef {import("../types.js").PaintContext} PaintContext */
/** @typedef {import("./queue.js").Queue} Queue */
/** @typedef {import("./strip.js").Strip} Strip */

/**
 * @param {HTMLElement} root
 * @param {PaintContext} context
 * @param {() => Queue | null} queue
 * @param {() => Strip | null} strip
 */
export function buildActions(root, context, queue, strip) {
  const { store, keys, say, signal } = context;
  /** @type {string[] | null} formats chosen in this page; null: those of the server */
  let formats = null;

  // --- embedding of Segment Anything
  const ring = h("span", { class: "embedding-ring" });
  const embeddingText = h("span", {});
  const embedding = h("div", { class: "embedding", hidden: true, role: "status" }, ring, embeddingText);
  let hiding = 0;
  store.on(
    "embedding",
    (/** @type {{image: number, progress: number}} */ { image, progress }) => {
      if (image !== store.current) return;
      clearTimeout(hiding);
      const ready = progress >= 1;
      embedding.hidden = false;
      embedding.classList.toggle("ready", ready);
      ring.style.setProperty("--share", `${Math.round(360 * progress)}deg`);
      embeddingText.textContent = ready ? "SAM ready" : `SAM ${Math.round(100 * progress)} %`;
      embedding.title = ready
        ? "Segment Anything has looked at the image: masks follow each click"
        : "Segment Anything looks at the image once; then masks follow each click";
      if (ready) hiding = setTimeout(() => (embedding.hidden = true), 2500);
    },
    signal,
  );
  store.on("image", () => (embedding.hidden = true), signal);

  // --- state of the saving
  const line = h("button", { type: "button", class: "save-state", on: { click: () => nextUnsaved() } });
  const save = button({ label: "Save", icon: "save", key: "s", edits: true, class: "save", run: () => void saveImage() });
  const more = button({ label: "What is saved", icon: "down", bare: true, edits: true, class: "save-more", run: () => toggleMenu() });
  more.setAttribute("aria-haspopup", "dialog");
  const menu = h("div", { class: "menu", role: "dialog", "aria-label": "Save", hidden: true });
  const saving = h("div", { class: "save-group", "data-edits": true }, save, more, menu);
  const waiting = button({ label: "Carried", icon: "carried", key: "q", class: "queue-open", run: () => queue()?.toggle() });
  const review = h("a", { class: "button quiet review-back", title: "Back to the review of the clusters", hidden: true }, icon("back"), h("span", { class: "button-text" }, "Review"));
  const templates = button({ label: "Find templates", icon: "template", key: "t", edits: true, class: "templates", run: () => void findTemplates() });
  const help = button({ label: "Help", icon: "help", key: "h", bare: true, quiet: true, run: () => openHelp(context) });
  templates.hidden = waiting.hidden = true; // until the state says that there are some
  root.append(embedding, templates, waiting, line, saving, review, themeButton(), help);

  /** Images with unsaved changes. */
  function unsaved() {
    return strip()?.files.counts().unsaved ?? 0;
  }

  function draw() {
    if (!store.loaded) return;
    const images = unsaved();
    const here = store.marks[store.current] === "unsaved";
    line.classList.toggle("unsaved", images > 0);
    line.replaceChildren(
      ...(images ? [] : [icon("check")]),
      h("span", {}, images ? `${images === 1 && here ? "unsaved changes" : `unsaved changes in ${plural(images, "image")}`}` : "no unsaved changes"),
    );
    line.disabled = images === 0 || (images === 1 && here);
    line.title = images
      ? `Painting is kept after each change; Save writes the files to ${store.state.out}`
      : `The files in ${store.state.out} are up to date`;
    save.classList.toggle("primary", here);
    const { queue: carried, review: address } = store.state;
    templates.hidden = !store.state.templates;
    waiting.hidden = !carried;
    const label = waiting.querySelector(".button-text");
    if (label) label.textContent = `Check ${count(carried ?? 0)} carried`;
    review.hidden = !address;
    if (address) review.href = address + reviewPlace();
  }

  function nextUnsaved() {
    const image = strip()?.files.next(store.current, "unsaved") ?? -1;
    if (image >= 0) void store.open(image).catch(toastError);
  }

  // --- saving

  /** @returns {Promise<boolean>} whether it was saved */
  async function saveImage() {
    if (!store.doc) return toast("The image is still being opened."), false;
    try {
      const answer = await store.save(formats ?? undefined);
      const text = answer.text || "saved";
      toast(text[0].toUpperCase() + text.slice(1));
      say(text);
      return true;
    } catch (error) {
      toastError(error);
      return false;
    }
  }

  /** Save, and show the next image at once. */
  async function saveNext() {
    if (!store.doc) return toast("The image is still being opened.");
    const saved = store.save(formats ?? undefined);
    strip()?.step(1);
    try {
      say((await saved).text ?? "saved");
    } catch (error) {
      toastError(error);
    }
  }

  async function saveAll() {
    const { marks } = store;
    let done = 0;
    closeMenu();
    for (let image = 0; image < store.state.images; image++) {
      if (marks[image] !== "unsaved") continue;
      try {
        await store.command("save", formats ? { formats } : {}, undefined, image);
        done += 1;
      } catch (error) {
        toastError(error);
      }
    }
    toast(`${plural(done, "image")} saved.`);
  }

  async function findTemplates() {
    if (!store.state.templates) return toast("No templates were given: start segmentimg serve with --templates DIR.");
    if (!store.doc) return toast("The image is still being opened.");
    templates.disabled = true;
    try {
      const answer = await store.command("template");
      toast(answer.text || "No template was found.");
    } catch (error) {
      toastError(error);
    } finally {
      templates.disabled = false;
    }
  }

  // --- menu

  function toggleMenu() {
    if (menu.hidden) openMenu();
    else closeMenu();
  }

  function openMenu() {
    const chosen = new Set(formats ?? store.state.formats);
    const boxes = FORMATS.map(({ id, label, text }) =>
      h(
        "label",
        { class: "menu-check" },
        h("input", { type: "checkbox", value: id, checked: chosen.has(id), on: { change: take } }),
        h("span", {}, h("b", {}, label), h("small", {}, text)),
      ),
    );
    const images = unsaved();
    menu.replaceChildren(
      h("h3", {}, "A save writes"),
      ...boxes,
      h("p", { class: "menu-place quiet-text" }, h("span", {}, "to "), h("span", { class: "path" }, store.state.out)),
      h("button", { type: "button", class: "button", disabled: images === 0, on: { click: () => void saveAll() } }, images ? `Save ${plural(images, "unsaved image")}` : "No unsaved image"),
    );
    menu.hidden = false;
    more.setAttribute("aria-expanded", "true");
    menu.querySelector("input")?.focus();
  }

  function closeMenu() {
    if (menu.hidden) return;
    const inside = menu.contains(document.activeElement);
    menu.hidden = true;
    more.setAttribute("aria-expanded", "false");
    if (inside) more.focus();
  }

  function take() {
    const chosen = [...menu.querySelectorAll("input")].filter((one) => one.checked).map((one) => one.value);
    if (!chosen.length) {
      toast("A save needs at least one format.", { error: true });
      openMenu();
      return;
    }
    formats = chosen;
  }

  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    closeMenu();
  });
  document.addEventListener(
    "pointerdown",
    (event) => {
      if (event.target instanceof Node && !saving.contains(event.target)) closeMenu();
    },
    { signal },
  );

  for (const type of ["state", "files", "image"]) store.on(type, draw, signal);
  store.on(
    "tap-space",
    () => {
      if (store.readOnly) toast("This tab is read only: another tab paints.");
      else if (queue()?.active) queue()?.accept();
      else void saveNext();
    },
    signal,
  );
  keys.add("Paint", [{ keys: ["t"], text: "find and paint the templates", edits: true, run: () => void findTemplates() }]);
  keys.add("Saving", [
    { keys: [], mouse: ["Space"], text: "save, then next image; in the queue: accept the mask as it is painted", run: () => false },
    { keys: ["s", "ctrl+s"], text: "save", edits: true, run: () => void saveImage() },
    { keys: ["h", "?"], text: "show the keys", run: () => openHelp(context) },
  ]);
  store.on("message", (/** @type {{text: string}} */ { text }) => toast(text, { error: true }), signal);
  draw();
}
