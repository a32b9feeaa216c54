/** Parts that the screens Questions, Threshold, Name, Quality and Export share. */

import { h, icon, plural } from "./ui.js";

/** @typedef {import("./store.js").Store} Store */

/**
 * A small image.
 * @param {Store} store
 * @param {number} image
 * @param {128 | 256} [size]
 * @returns {HTMLImageElement}
 */
export function thumb(store, image, size = 128) {
  const img = h("img", { alt: store.file(image), decoding: "async", draggable: "false" });
  img.addEventListener("error", () => img.classList.add("broken"));
  img.src = store.thumb(image, size);
  return img;
}

/**
 * A large image: the thumbnail at once, the whole image when it is there.
 * @param {Store} store
 * @param {AbortSignal} signal
 */
export function photo(store, signal) {
  const img = h("img", { alt: "", decoding: "async", draggable: "false" });
  const name = h("span", { class: "photo-name" });
  const facts = h("span", { class: "photo-facts" });
  const note = h("span", { class: "photo-note" });
  const node = h(
    "figure",
    { class: "photo" },
    h("div", { class: "photo-well" }, img),
    h("figcaption", {}, h("span", { class: "photo-line" }, name, facts), note),
  );
  let shown = -1;
  let ready = Promise.resolve();
  img.addEventListener("error", () => img.classList.add("broken"));
  return {
    node,
    img,
    note,
    /** Resolves when the whole image is shown. */
    ready: () => ready,
    /** @param {number} image */
    show(image) {
      const file = store.file(image);
      name.textContent = file;
      name.title = file;
      img.alt = file;
      if (image === shown) return;
      shown = image;
      facts.textContent = "";
      img.classList.remove("broken");
      img.src = store.thumb(image, 256);
      const whole = new Image();
      whole.decoding = "async";
      whole.src = store.full(image);
      ready = whole
        .decode()
        .then(() => {
          if (shown !== image || signal.aborted) return;
          img.src = whole.src;
          facts.textContent = `${whole.naturalWidth} × ${whole.naturalHeight}`;
        })
        .catch(() => undefined);
    },
  };
}

/**
 * A row of small images of some of many.
 * @param {Store} store
 * @param {number[]} images
 * @param {number} most
 */
export function strip(store, images, most) {
  const more = images.length - most;
  return h(
    "div",
    { class: "group-strip" },
    ...images.slice(0, most).map((image) => thumb(store, image)),
    more > 0 && h("span", { class: "group-more" }, `+${more}`),
  );
}

/**
 * What an image belongs to, as a chip.
 * @param {Store} store
 * @param {number} image
 */
export function homeChip(store, image) {
  const cluster = store.clusterOf(image);
  const own = store.labels.get(image);
  const label = (own?.[1] === "image" ? own[0] : cluster?.name) ?? own?.[0] ?? null;
  const text = cluster ? plural(cluster.members.length, "image") : "outlier";
  return h(
    "span",
    { class: label ? "chip named" : "chip" },
    h("span", {}, label ? `${label} · ${text}` : cluster ? `cluster of ${text}` : text),
  );
}

/**
 * Buttons of which one is pressed.
 * @template {string} T
 * @param {string} label
 * @param {{value: T, text: string, count?: number}[]} options
 * @param {T} value
 * @param {(value: T) => void} pick
 */
export function segmented(label, options, value, pick) {
  const node = h("div", { class: "segments", role: "group", "aria-label": label });
  /** @param {T} next */
  const set = (next) => {
    for (const one of node.children) {
      one.setAttribute("aria-pressed", String(/** @type {HTMLElement} */ (one).dataset.value === next));
    }
  };
  for (const option of options) {
    node.append(
      h(
        "button",
        { type: "button", class: "segment", dataset: { value: option.value }, on: { click: () => pick(option.value) } },
        option.text,
        option.count !== undefined && h("small", {}, option.count.toLocaleString("en-US")),
      ),
    );
  }
  set(value);
  return { node, set };
}

/**
 * A heading in the middle of an empty screen.
 * @param {string} title
 * @param {string} text
 * @param {...Node} more
 */
export function empty(title, text, ...more) {
  return h("div", { class: "empty" }, h("h2", {}, title), h("p", {}, text), ...more);
}

/** @param {string} text */
export function waiting(text) {
  return h("p", { class: "loading waiting", role: "status" }, h("span", { class: "spinner" }), text);
}

/**
 * A line with a sign of warning.
 * @param {string} text
 * @param {...Node} more
 */
export function notice(text, ...more) {
  return h("div", { class: "notice", role: "status" }, icon("warn"), h("span", {}, text), ...more);
}
