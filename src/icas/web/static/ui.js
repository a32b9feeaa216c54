/** Elements, dialogs, toasts, buttons, the field with completion, icons. */

/** @type {Record<string, string>} paths of icons on a 24 by 24 grid, drawn as strokes */
const ICONS = {
  clusters: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h6v6h-6z",
  compare: "M3 5h8v14H3zM13 5h8v14h-8z",
  questions: "M9 9a3 3 0 1 1 4.5 2.6c-1 .6-1.5 1.2-1.5 2.4M12 17.5v.5M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0z",
  threshold: "M4 7h9M19 7h1M4 17h1M11 17h9M16 4.5v5M8 14.5v5",
  name: "M3 12V4h8l10 10-8 8zM7.5 8.5h.01",
  quality: "M12 3l8 3v6c0 4.5-3.4 7.6-8 9-4.6-1.4-8-4.5-8-9V6zM8.5 12l2.5 2.5 4.5-5",
  export: "M12 15V3M7.5 7.5L12 3l4.5 4.5M4 14v6h16v-6",
  history: "M3.5 12a8.5 8.5 0 1 0 2.5-6M3 4v4h4M12 7.5V12l3 2",
  undo: "M8 5L4 9l4 4M4 9h10a6 6 0 0 1 0 12h-3",
  redo: "M16 5l4 4-4 4M20 9H10a6 6 0 0 0 0 12h3",
  help: "M9 9a3 3 0 1 1 4.5 2.6c-1 .6-1.5 1.2-1.5 2.4M12 17.5v.5",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M2 12h2M20 12h2M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z",
  auto: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 3v18M12 8h6M12 12h9M12 16h6",
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  check: "M5 12.5l4.5 4.5L19 7.5",
  cross: "M6 6l12 12M18 6L6 18",
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5L21 21",
  star: "M12 3.5l2.6 5.5 6 .8-4.4 4.2 1.1 6L12 17.1 6.7 20l1.1-6-4.4-4.2 6-.8z",
  merge: "M7 4v4c0 4 5 4 5 8v4M17 4v4c0 4-5 4-5 8",
  split: "M12 4v4c0 4-5 4-5 8v4M12 8c0 4 5 4 5 8v4",
  doubt: "M12 4l9 16H3zM12 10v4.5M12 17v.5",
  warn: "M12 4l9 16H3zM12 10v4.5M12 17v.5",
  move: "M12 3v18M3 12h18M9 6l3-3 3 3M9 18l3 3 3-3M6 9l-3 3 3 3M18 9l3 3-3 3",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  fit: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  pixels: "M4 4h16v16H4zM4 12h16M12 4v16",
  difference: "M9 4a6 6 0 1 0 0 12A6 6 0 0 0 9 4zM15 8a6 6 0 1 0 0 12 6 6 0 0 0 0-12z",
  fill: "M5 11l6.5-6.5 7.5 7.5-6.5 6.5a1.4 1.4 0 0 1-2 0L5 13a1.4 1.4 0 0 1 0-2zM9 2l5 5M5.5 12h13M20.5 16.5c.9 1.3 1.3 2 1.3 2.6a1.4 1.4 0 0 1-2.7 0c0-.6.5-1.3 1.4-2.6z",
  unfill: "M5 11l6.5-6.5 7.5 7.5-6.5 6.5a1.4 1.4 0 0 1-2 0L5 13a1.4 1.4 0 0 1 0-2zM9 2l5 5M17 17l5 5M22 17l-5 5",
  brush: "M20.5 3.5c-4.5 2-8.3 5.4-10.8 9.3l2.5 2.5c3.9-2.5 6.9-6.7 8.3-11.8zM8.6 13.9c-2.6.2-3 2.1-3.3 3.9-.1 1-.8 1.9-2 2.4 3.2 1 7.6.4 7.8-3.8",
  eraser: "M8 20l-4.3-4.3a1.7 1.7 0 0 1 0-2.4L13 4a1.7 1.7 0 0 1 2.4 0l4.6 4.6a1.7 1.7 0 0 1 0 2.4L11 20zM8.5 8.5l7 7M8 20h12",
  cut: "M4.5 19.5l15-15M4.5 19.5m-2 0a2 2 0 1 0 4 0 2 2 0 1 0-4 0M19.5 4.5m-2 0a2 2 0 1 0 4 0 2 2 0 1 0-4 0",
  polygon: "M12 4l8 6-3.5 9.5h-9L4 10zM12 4m-1.5 0a1.5 1.5 0 1 0 3 0 1.5 1.5 0 1 0-3 0M20 10m-1.5 0a1.5 1.5 0 1 0 3 0 1.5 1.5 0 1 0-3 0M4 10m-1.5 0a1.5 1.5 0 1 0 3 0 1.5 1.5 0 1 0-3 0",
  rectangle: "M4 6h16v12H4z",
  pipette: "M13.5 7.5l3 3M4 20l.8-3.3 8.7-8.7 2.5 2.5-8.7 8.7zM12.5 6.5l2-2a2.1 2.1 0 0 1 3 0l2 2a2.1 2.1 0 0 1 0 3l-2 2z",
  sam: "M11 3l1.8 5.2L18 10l-5.2 1.8L11 17l-1.8-5.2L4 10l5.2-1.8zM18.5 15l.9 2.6 2.6.9-2.6.9-.9 2.6-.9-2.6-2.6-.9 2.6-.9z",
  grabcut: "M4 8V4h4M11 4h2M16 4h4v4M20 11v2M20 16v4h-4M13 20h-2M8 20H4v-4M4 13v-2M8 14c1-4 3-5.5 4.5-5.5S16 10 16 12s-1.500 3.500-4 3.500-4-.5-4-1.500z",
  continuous: "M3 15c2.500-6 4.500-6 6 0s3.500 6 6 0 3-6 6-3",
  borders: "M3 9l6-5 6 3 6-2M9 4l1 8-6 8M10 12l7 2 4-6M17 14l-2 7",
  opacity: "M12 3c4 4.500 6 7.500 6 10.500a6 6 0 0 1-12 0C6 10.500 8 7.500 12 3zM12 5v14.500",
  panel: "M4 5h16v14H4zM15 5v14",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  edit: "M4 20l4.5-1L20 7.5 16.5 4 5 15.5z",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
  hidden: "M4 4l16 16M9.5 5.9A9.6 9.6 0 0 1 12 5.5c6 0 9.5 6.5 9.5 6.5a17 17 0 0 1-2.7 3.4M6.3 7.6A16.5 16.5 0 0 0 2.5 12s3.5 6.5 9.5 6.5a9 9 0 0 0 4.2-1.1",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  unlock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 6.8-1.2",
  up: "M5 15l7-7 7 7",
  down: "M5 9l7 7 7-7",
  save: "M5 4h11l3 3v13H5zM8 4v5h7V4M8 20v-6h8v6",
  template: "M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4M9 9h6v6H9z",
  carried: "M9 9h11v11H9zM15 9V4H4v11h5",
  again: "M20.5 12a8.5 8.5 0 1 1-2.5-6M21 3v4.5h-4.5",
  absent: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM6 6l12 12",
  ring: "M12 5a7 7 0 1 0 0 14 7 7 0 0 0 0-14z",
  dot: "M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
  paint: "M20 4L10 14M7 14.5a3 3 0 0 0-3 3c0 1.5-1 2-1 2 1.5 1 6 1 7-1.5a3 3 0 0 0-3-3.5z",
};

const NUMBERS = new Intl.NumberFormat("en-US");
const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * Make an element. Text always goes in as text, never as HTML.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, unknown>} [props] `class`, `dataset`, `style` (properties), `on` (listeners); else attributes
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") node.className = String(value);
    else if (name === "dataset") Object.assign(node.dataset, value);
    else if (name === "style") {
      for (const [property, one] of Object.entries(/** @type {object} */ (value))) {
        node.style.setProperty(property, String(one));
      }
    } else if (name === "on") {
      for (const [type, listener] of Object.entries(/** @type {object} */ (value))) {
        node.addEventListener(type, /** @type {EventListener} */ (listener));
      }
    } else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter(shown).map((child) => (child instanceof Node ? child : String(child))));
  return node;
}

/**
 * @param {Child} child
 * @returns {child is Node | string | number}
 */
function shown(child) {
  return child !== null && child !== undefined && child !== false;
}

/**
 * @param {string} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name] ?? "");
  svg.append(path);
  return svg;
}

/** @param {string} text */
export function kbd(text) {
  return h("kbd", {}, text);
}

/**
 * @typedef {object} ButtonOptions
 * @property {string} label
 * @property {string} [icon]
 * @property {string} [key] key shown beside the label
 * @property {boolean} [quiet] without a frame
 * @property {boolean} [primary]
 * @property {boolean} [edits] hidden in a tab that is read only
 * @property {boolean} [bare] only the icon is seen
 * @property {string} [class]
 * @property {(event: MouseEvent) => void} run
 */

/**
 * @param {ButtonOptions} options
 * @returns {HTMLButtonElement}
 */
export function button(options) {
  const look = [
    "button",
    options.quiet && "quiet",
    options.primary && "primary",
    options.bare && "bare",
    options.class,
  ];
  const title = options.key ? `${options.label} (${options.key})` : options.label;
  return h(
    "button",
    {
      type: "button",
      class: look.filter(Boolean).join(" "),
      title,
      "aria-label": options.bare ? options.label : undefined,
      "aria-keyshortcuts": options.key,
      "data-edits": options.edits,
      on: { click: options.run },
    },
    options.icon && icon(options.icon),
    !options.bare && h("span", { class: "button-text" }, options.label),
    options.key && !options.bare && kbd(options.key),
  );
}

/**
 * A modal dialog; the promise gives the value of the button, or "" after Escape.
 * @param {string} title
 * @param {Node | string} body
 * @param {{label: string, value: string, primary?: boolean, danger?: boolean}[]} buttons
 * @param {string} [look]
 * @returns {Promise<string> & {node: HTMLDialogElement, close: (value: string) => void}}
 */
export function dialog(title, body, buttons, look = "") {
  const node = h("dialog", { class: `dialog ${look}`, "aria-label": title });
  const before = document.activeElement;
  /** @type {(value: string) => void} */
  let settle;
  /** @param {string} value */
  const end = (value) => {
    if (!node.isConnected) return;
    node.close(value);
    node.remove();
    if (before instanceof HTMLElement && before.isConnected) before.focus();
    settle(value);
  };
  const row = h("div", { class: "dialog-buttons" });
  for (const one of buttons) {
    const type = one.primary ? "primary" : one.danger ? "danger" : "";
    const pressed = h(
      "button",
      { type: "button", class: `button ${type}`, on: { click: () => end(one.value) } },
      one.label,
    );
    if (one.primary) pressed.autofocus = true;
    row.append(pressed);
  }
  const close = button({
    label: "Close",
    icon: "cross",
    bare: true,
    quiet: true,
    run: () => end(""),
  });
  node.append(
    h("header", { class: "dialog-head" }, h("h2", {}, title), close),
    h("div", { class: "dialog-body" }, body),
    row,
  );
  document.body.append(node);
  const answer = /** @type {Promise<string> & {node: HTMLDialogElement, close: (value: string) => void}} */ (
    new Promise((resolve) => {
      settle = resolve;
    })
  );
  node.addEventListener("close", () => end(node.returnValue));
  // at once: the event "close" comes later, and the next key may come before it
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing || event.defaultPrevented) return;
    event.preventDefault();
    end("");
  });
  // a click on the backdrop closes it
  node.addEventListener("pointerdown", (event) => {
    if (event.target !== node) return;
    const box = node.getBoundingClientRect();
    const inside =
      event.clientX >= box.left &&
      event.clientX <= box.right &&
      event.clientY >= box.top &&
      event.clientY <= box.bottom;
    if (!inside) end("");
  });
  node.showModal();
  answer.node = node;
  answer.close = end;
  return answer;
}

/**
 * A short message at the edge of the page.
 * @param {string} text
 * @param {{error?: boolean, action?: string, run?: () => void}} [options]
 */
export function toast(text, options = {}) {
  const holder = document.getElementById("toasts");
  if (!holder) return;
  const node = h("div", { class: options.error ? "toast error" : "toast" }, h("span", {}, text));
  const remove = () => node.remove();
  if (options.action) {
    node.append(
      h(
        "button",
        {
          type: "button",
          class: "button quiet",
          on: {
            click: () => {
              remove();
              options.run?.();
            },
          },
        },
        options.action,
      ),
    );
  }
  while (holder.children.length > 2) holder.firstElementChild?.remove();
  holder.append(node);
  setTimeout(remove, options.error ? 8000 : 4000);
}

/** @param {unknown} error */
export function toastError(error) {
  if (error instanceof DOMException && error.name === "AbortError") return;
  toast(error instanceof Error ? error.message : String(error), { error: true });
}

/**
 * @typedef {object} Completion
 * @property {HTMLElement} node
 * @property {HTMLInputElement} input
 * @property {(text?: string) => void} open put text in and focus
 * @property {() => void} close
 */

/**
 * A field that completes names: Enter takes it, Tab completes, Escape leaves.
 * @param {object} options
 * @param {string} options.label
 * @param {string} [options.placeholder]
 * @param {() => string[]} options.items
 * @param {(value: string) => void} options.pick
 * @param {() => void} [options.cancel]
 * @param {boolean} [options.up] list above the field
 * @param {boolean} [options.late] no list before something is typed
 * @returns {Completion}
 */
export function completion(options) {
  const id = `list-${Math.random().toString(36).slice(2)}`;
  const input = h("input", {
    type: "text",
    class: "field",
    role: "combobox",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: 200,
    "aria-label": options.label,
    "aria-expanded": "false",
    "aria-controls": id,
    "aria-autocomplete": "list",
    placeholder: options.placeholder ?? options.label,
    "data-edits": true,
  });
  const list = h("ul", { class: options.up ? "options up" : "options", role: "listbox", id, hidden: true });
  const node = h("div", { class: "completion" }, input, list);
  /** @type {string[]} */
  let matches = [];
  let at = -1;

  const draw = () => {
    const typed = input.value.trim().toLowerCase();
    const all = options.items();
    const starts = all.filter((item) => item.toLowerCase().startsWith(typed));
    const inside = typed ? all.filter((item) => item.toLowerCase().indexOf(typed) > 0) : [];
    matches = [...starts, ...inside].slice(0, 8);
    at = Math.min(at, matches.length - 1);
    list.replaceChildren(
      ...matches.map((item, i) =>
        h(
          "li",
          {
            role: "option",
            id: `${id}-${i}`,
            class: "option",
            "aria-selected": i === at ? "true" : "false",
            on: {
              pointerdown: (/** @type {Event} */ event) => {
                event.preventDefault();
                take(item);
              },
            },
          },
          item,
        ),
      ),
    );
    const wanted = typed !== "" || !options.late;
    const visible = wanted && matches.length > 0 && document.activeElement === input;
    list.hidden = !visible;
    input.setAttribute("aria-expanded", String(visible));
    if (at >= 0) input.setAttribute("aria-activedescendant", `${id}-${at}`);
    else input.removeAttribute("aria-activedescendant");
  };
  const close = () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    at = -1;
  };
  /** @param {string} value */
  const take = (value) => {
    input.value = "";
    close();
    input.blur();
    options.pick(value);
  };
  input.addEventListener("input", () => {
    at = -1;
    draw();
  });
  input.addEventListener("focus", draw);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      at = matches.length ? (at + step + matches.length + (at < 0 && step < 0 ? 1 : 0)) % matches.length : -1;
      draw();
    } else if (event.key === "Enter") {
      const value = at >= 0 ? matches[at] : input.value.trim();
      if (value) take(value);
    } else if (event.key === "Tab" && !event.shiftKey && matches.length && input.value.trim()) {
      const value = matches[Math.max(at, 0)];
      if (value === input.value) return;
      input.value = value;
      draw();
    } else if (event.key === "Escape") {
      input.value = "";
      close();
      input.blur();
      options.cancel?.();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return {
    node,
    input,
    open(text = "") {
      input.value = text;
      input.focus();
      draw();
    },
    close,
  };
}

/** @param {number} value */
export function count(value) {
  return NUMBERS.format(value);
}

/**
 * @param {number} value
 * @param {string} one
 * @param {string} [many]
 */
export function plural(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** @param {number | null | undefined} value */
export function similarity(value) {
  return value === null || value === undefined ? "–" : value.toFixed(2);
}

/** @param {number} value */
export function bytes(value) {
  if (value < 1000) return `${value} B`;
  if (value < 1e6) return `${(value / 1e3).toFixed(value < 1e4 ? 1 : 0)} kB`;
  return `${(value / 1e6).toFixed(1)} MB`;
}
