/** Keys of the page and of each screen as data; the help overlay shows the same tables. */

import { dialog, h, kbd } from "./ui.js";

/** @typedef {import("./types.js").Binding} Binding */

/** @type {Record<string, string>} */
const SHOWN = {
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  " ": "Space",
  Escape: "Esc",
};

/** Text fields keep their keys. */
const FIELDS = "input:not([type=checkbox]):not([type=radio]):not([type=range]):not([type=button]), textarea, select, [contenteditable]";

/**
 * @param {string} key as in a binding
 * @returns {string}
 */
export function keyName(key) {
  const parts = key.length > 1 ? key.split("+") : [key];
  const last = parts.pop() ?? "";
  const shown = SHOWN[last] ?? last;
  return [...parts.map((part) => part[0].toUpperCase() + part.slice(1)), shown].join("+");
}

/**
 * @param {KeyboardEvent} event
 * @returns {string}
 */
export function pressed(event) {
  const key = event.key.length === 1 && event.ctrlKey ? event.key.toLowerCase() : event.key;
  const printable = key.length === 1 && key !== " ";
  return (
    (event.ctrlKey || event.metaKey ? "ctrl+" : "") +
    (event.altKey ? "alt+" : "") +
    (event.shiftKey && !printable ? "shift+" : "") +
    key
  );
}

/**
 * The keys of a table of the help, with what they do.
 * @param {Binding[]} bindings
 */
export function keyTable(bindings) {
  const table = h("dl", { class: "help-keys" });
  for (const { keys, mouse, text } of bindings) {
    const digits = keys.length > 3 && keys.every((key) => /^\d$/.test(key));
    const shown = digits
      ? [kbd(keys[0]), "to", kbd(keys[keys.length - 1])]
      : [...keys.map(keyName), ...(mouse ?? [])].map(kbd);
    table.append(h("div", {}, h("dt", {}, ...shown), h("dd", {}, text)));
  }
  return table;
}

export class Keys {
  /** @type {Binding[]} */
  #global = [];
  /** @type {Binding[]} */
  #screen = [];
  /** @type {{title: string, bindings: Binding[]}[]} */
  #parts = [];
  /** @type {((letter: string) => void) | null} */
  #typing = null;
  #title = "";
  #prefix = 0;
  /** @type {Map<string, () => void>} */
  #places = new Map();
  /** @type {[string, string][]} */
  #placeNames = [];
  /** @type {() => boolean} */
  #readOnly;
  /** @type {() => void} */
  #refuse;

  /**
   * @param {() => boolean} readOnly
   * @param {() => void} refuse called where a key would edit in a tab that is read only
   */
  constructor(readOnly, refuse) {
    this.#readOnly = readOnly;
    this.#refuse = refuse;
    document.addEventListener("keydown", (event) => this.#handle(event));
  }

  /** @param {Binding[]} bindings keys of every screen */
  setGlobal(bindings) {
    this.#global = bindings;
  }

  /**
   * Keys `g` + letter that open screens.
   * @param {{key: string, title: string, run: () => void}[]} places
   */
  setPlaces(places) {
    this.#places = new Map(places.map((place) => [place.key, place.run]));
    this.#placeNames = places.map((place) => [place.key, place.title]);
  }

  /**
   * Keys of the screen shown; the last call counts. They go before the global ones.
   * @param {string} title
   * @param {Binding[]} bindings
   * @param {((letter: string) => void) | null} [typing] gets letters and digits that are no key
   */
  bind(title, bindings, typing = null) {
    this.#title = title;
    this.#screen = bindings;
    this.#typing = typing;
  }

  clear() {
    this.bind("", []);
  }

  /**
   * Add keys of a part of the page; they go after those of the screen.
   * @param {string} title
   * @param {Binding[]} bindings
   * @returns {() => void} removes them
   */
  add(title, bindings) {
    const part = { title, bindings };
    this.#parts.push(part);
    return () => {
      this.#parts = this.#parts.filter((one) => one !== part);
    };
  }

  /** @param {KeyboardEvent} event */
  #handle(event) {
    if (event.defaultPrevented || event.isComposing) return;
    const target = event.target instanceof Element ? event.target : null;
    if (target?.matches(FIELDS)) return;
    if (document.querySelector("dialog[open]")) return;
    const key = pressed(event);
    if ((key === "Enter" || key === " ") && target?.closest("button, a[href], summary, [role=option][data-own]")) return;
    if (target?.matches("input[type=range]") && /^(Arrow|Page|Home|End)/.test(key)) return;
    if (this.#prefix && performance.now() - this.#prefix < 1500) {
      this.#prefix = 0;
      const place = this.#places.get(key);
      if (place) {
        event.preventDefault();
        place();
        return;
      }
    }
    if (key === "g" && this.#places.size) {
      this.#prefix = performance.now();
      event.preventDefault();
      return;
    }
    const added = this.#parts.flatMap((part) => part.bindings);
    for (const binding of [...this.#screen, ...added, ...this.#global]) {
      if (!binding.keys.includes(key)) continue;
      if (binding.edits && this.#readOnly()) {
        event.preventDefault();
        this.#refuse();
        return;
      }
      if (binding.run(event) === false) continue; // another binding, or the browser
      event.preventDefault();
      return;
    }
    if (this.#typing && /^[\p{L}\p{N}]$/u.test(key)) {
      event.preventDefault();
      if (this.#readOnly()) this.#refuse();
      else this.#typing(key);
    }
  }

  /**
   * Show every key of the screen and of the page, by group.
   * @param {Map<string, HTMLElement>} [first] sections by heading, which replace the groups of these names
   */
  help(first = new Map()) {
    /** @type {Map<string, Binding[]>} */
    const groups = new Map();
    for (const { title, bindings } of [
      { title: this.#title, bindings: this.#screen },
      ...this.#parts,
      { title: "Everywhere", bindings: this.#global },
    ]) {
      for (const binding of bindings) {
        const group = binding.group ?? title;
        if (!binding.text || first.has(group)) continue; // another row covers it
        groups.set(group, [...(groups.get(group) ?? []), binding]);
      }
    }
    const body = h("div", { class: "help" }, ...first.values());
    for (const [title, bindings] of groups) body.append(h("section", {}, h("h3", {}, title), keyTable(bindings)));
    if (this.#placeNames.length) {
      const places = h("dl", { class: "help-keys" });
      for (const [key, title] of this.#placeNames) {
        places.append(h("div", {}, h("dt", {}, kbd("g"), kbd(key)), h("dd", {}, title)));
      }
      body.append(h("section", {}, h("h3", {}, "Screens"), places));
    }
    return dialog("Keys", body, [{ label: "Close", value: "close", primary: true }], "wide");
  }
}
