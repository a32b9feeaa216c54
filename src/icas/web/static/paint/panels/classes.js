/** Panel *Classes*: choose, add, rename, recolour, hide and lock classes. */

import { button, h, icon, kbd, plural, toastError } from "../../ui.js";

/** @typedef {import("../types.js").PaintClass} PaintClass */
/** @typedef {import("../types.js").PaintContext} PaintContext */

/** Colours offered for new classes: far apart, and not gray. */
const COLORS = [
  "#e6194b", "#3cb44b", "#4363d8", "#ffe119", "#f58231", "#911eb4",
  "#42d4f4", "#f032e6", "#bfef45", "#fabed4", "#469990", "#9a6324",
];
/** From this many classes on, there is a field to find one. */
const MANY = 12;

/**
 * @param {HTMLElement} root
 * @param {PaintContext} context
 */
export function buildClasses(root, context) {
  const { store, keys, say, signal } = context;
  /** Number of the class that is edited; 0: a new one; -1: none. */
  let edited = -1;
  let words = "";
  let drawn = "";

  const find = h("input", {
    type: "search", class: "field class-find", placeholder: "Find a class", "aria-label": "Find a class", spellcheck: "false", hidden: true,
  });
  const list = h("div", { class: "classes", role: "listbox", "aria-label": "Classes", tabindex: 0 });
  const add = button({ label: "Add class", icon: "plus", key: "l", quiet: true, edits: true, class: "class-add", run: () => edit(0) });
  root.append(find, list, add);

  function draw() {
    if (!store.loaded) return;
    find.hidden = store.classes.length < MANY;
    const counts = countObjects();
    const shown = store.classes.filter((one) => !words || one.name.toLowerCase().includes(words));
    const scrolled = list.scrollTop;
    const rows = shown.map((one) => (one.number === edited ? editor(one) : row(one, counts.get(one.number) ?? 0)));
    if (edited === 0) rows.push(editor(null));
    if (!rows.length) {
      rows.push(h("p", { class: "panel-empty" }, words ? "No class has these letters in its name." : "There is no class yet: add one to paint."));
    }
    list.replaceChildren(...rows);
    list.scrollTop = scrolled;
    add.hidden = edited === 0;
    drawn = contents();
  }

  /** What the rows show, to draw them only when it changes. */
  function contents() {
    return JSON.stringify([store.classes, ...countObjects()]);
  }

  function countObjects() {
    /** @type {Map<number, number>} */
    const counts = new Map();
    for (const one of store.doc?.objects ?? []) counts.set(one.class, (counts.get(one.class) ?? 0) + 1);
    return counts;
  }

  /**
   * @param {PaintClass} one
   * @param {number} objects in the open image
   */
  function row(one, objects) {
    const chosen = one.number === store.selected;
    const images = one.images === undefined || one.images === null ? "" : `; in ${plural(one.images, "image")}`;
    const shownObjects = objects ? `${plural(objects, "object")} in this image${images}` : `not in this image${images}`;
    return h(
      "div",
      {
        class: `class-item${chosen ? " chosen" : ""}${one.hidden ? " is-hidden" : ""}${one.locked ? " is-locked" : ""}`,
        role: "option",
        "aria-selected": String(chosen),
        "aria-label": `${one.name}, ${shownObjects}${one.hidden ? ", hidden" : ""}${one.locked ? ", locked" : ""}`,
        dataset: { class: one.number },
        title: shownObjects,
        on: {
          click: () => choose(one.number),
          dblclick: () => edit(one.number),
        },
      },
      one.digit ? kbd(one.digit) : h("span", { class: "no-digit" }),
      h("span", { class: "swatch", style: { "background-color": one.color } }),
      h("span", { class: "class-label" }, one.name),
      objects > 0 && h("small", { class: "class-objects" }, objects),
      tool("edit", `Rename or recolour ${one.name}`, false, () => edit(one.number), "m"),
      tool(one.hidden ? "hidden" : "eye", one.hidden ? `Show ${one.name}` : `Hide ${one.name}`, one.hidden, () => view(one, { hidden: !one.hidden })),
      tool(one.locked ? "lock" : "unlock", one.locked ? `Unlock ${one.name}` : `Lock the paint of ${one.name}`, one.locked, () => view(one, { locked: !one.locked })),
    );
  }

  /**
   * @param {string} sign
   * @param {string} label
   * @param {boolean} pressed
   * @param {() => void} run
   * @param {string} [key]
   */
  function tool(sign, label, pressed, run, key = "") {
    return h(
      "button",
      {
        type: "button",
        class: `item-tool${pressed ? " on" : ""}`,
        tabindex: -1,
        title: key ? `${label} (${key})` : label,
        "aria-label": label,
        "aria-pressed": sign === "edit" ? undefined : String(pressed),
        "data-edits": true,
        on: {
          click: (/** @type {Event} */ event) => {
            event.stopPropagation();
            run();
          },
          dblclick: (/** @type {Event} */ event) => event.stopPropagation(),
        },
      },
      icon(sign),
    );
  }

  /** @param {PaintClass | null} one */
  function editor(one) {
    const taken = new Set(store.classes.map((other) => other.color));
    let color = one?.color ?? COLORS.find((free) => !taken.has(free)) ?? "#888888";
    const name = h("input", {
      type: "text", class: "field", "aria-label": "Name of the class", placeholder: "Name", maxlength: 100, spellcheck: "false", autocomplete: "off", value: one?.name ?? "",
    });
    const own = h("input", { type: "color", class: "color-own", "aria-label": "Other colour", title: "Other colour", value: color });
    const swatches = h("div", { class: "swatches", role: "group", "aria-label": "Colour" });
    const set = (/** @type {string} */ next) => {
      color = next;
      own.value = next;
      for (const other of swatches.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other.dataset.color === next));
    };
    for (const offered of COLORS) {
      if (taken.has(offered) && offered !== one?.color) continue;
      swatches.append(
        h("button", { type: "button", class: "swatch", title: offered, "aria-label": offered, dataset: { color: offered }, style: { "background-color": offered }, on: { click: () => set(offered) } }),
      );
    }
    swatches.append(own);
    own.addEventListener("input", () => set(own.value));
    const save = () => {
      const text = name.value.trim();
      if (!text) return name.focus();
      edited = -1;
      draw();
      list.focus({ preventScroll: true });
      void change(one, text, color);
    };
    const leave = () => {
      edited = -1;
      draw();
      list.focus({ preventScroll: true });
    };
    const node = h(
      "form",
      {
        class: "class-editor",
        "aria-label": one ? `Change ${one.name}` : "New class",
        on: {
          submit: (/** @type {Event} */ event) => {
            event.preventDefault();
            save();
          },
          keydown: (/** @type {KeyboardEvent} */ event) => {
            if (event.key !== "Escape" || event.isComposing) return;
            event.preventDefault();
            event.stopPropagation();
            leave();
          },
        },
      },
      name,
      swatches,
      h(
        "div",
        { class: "class-editor-buttons" },
        h("button", { type: "button", class: "button quiet", on: { click: leave } }, "Cancel"),
        h("button", { type: "submit", class: "button primary" }, one ? "Change" : "Add"),
      ),
    );
    set(color);
    return node;
  }

  /**
   * @param {PaintClass | null} one
   * @param {string} name
   * @param {string} color
   */
  async function change(one, name, color) {
    try {
      if (!one) {
        const before = new Set(store.classes.map((other) => other.number));
        await store.command("class_add", { name, color });
        const added = store.classes.find((other) => !before.has(other.number));
        if (added) choose(added.number);
      } else if (name !== one.name || color !== one.color) {
        const args = { ...(name !== one.name && { name }), ...(color !== one.color && { color }) };
        await store.command("class_change", { number: one.number, ...args });
      }
    } catch (error) {
      toastError(error);
      draw();
    }
  }

  /** @param {number} number */
  function choose(number) {
    store.select(number);
    const name = store.classOf(number)?.name;
    if (name) say(name);
  }

  /** @param {number} number */
  function edit(number) {
    if (store.readOnly || (number > 0 && !store.classOf(number))) return;
    words = find.value = "";
    edited = number;
    document.body.toggleAttribute("data-drawer", true); // on narrow pages the panel is folded away
    draw();
    // at once: the next key belongs to the name
    const name = list.querySelector(".class-editor input");
    if (!(name instanceof HTMLInputElement)) return;
    name.focus();
    name.select();
    name.closest("form")?.scrollIntoView({ block: "nearest" });
  }

  /**
   * @param {PaintClass} one
   * @param {{hidden?: boolean, locked?: boolean}} change
   */
  function view(one, change) {
    store.command("class_view", { number: one.number, ...change }).catch(toastError);
  }

  find.addEventListener("input", () => {
    words = find.value.trim().toLowerCase();
    draw();
  });
  find.addEventListener("keydown", (event) => {
    if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    const first = list.querySelector("[data-class]");
    if (event.key === "Enter" && words && first instanceof HTMLElement) choose(Number(first.dataset.class));
    words = find.value = "";
    draw();
    list.focus({ preventScroll: true });
  });
  /**
   * Give the chosen class another place in the list, and with it another digit.
   * @param {number} by
   */
  async function move(by) {
    const all = store.classes;
    const at = all.findIndex((one) => one.number === store.selected);
    const name = all[at]?.name;
    const to = all[at + by]?.number;
    if (name === undefined || to === undefined || !store.state.ops?.includes("class_move")) return;
    try {
      await store.command("class_move", { number: store.selected, to });
      const moved = store.classes.find((one) => one.name === name);
      if (moved) choose(moved.number);
      reveal();
    } catch (error) {
      toastError(error);
    }
  }

  list.addEventListener("keydown", (event) => {
    if (event.target === list && event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      event.preventDefault();
      event.stopPropagation();
      if (!store.readOnly) void move(event.key === "ArrowUp" ? -1 : 1);
      return;
    }
    if (event.target !== list || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    const all = store.classes;
    const at = all.findIndex((one) => one.number === store.selected);
    /** @type {Record<string, number>} */
    const goals = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 };
    const goal = event.key === "F2" || event.key === "Enter" ? at : goals[event.key];
    if (goal === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const one = all[Math.max(0, Math.min(all.length - 1, goal))];
    if (!one) return;
    if (event.key === "F2" || event.key === "Enter") return edit(one.number);
    choose(one.number);
    reveal();
  });

  function reveal() {
    list.querySelector(".chosen")?.scrollIntoView({ block: "nearest" });
  }

  /** Draw again, unless a class is being edited. */
  function changed() {
    if (edited < 0) draw();
  }
  store.on("state", changed, signal);
  store.on("objects", () => contents() === drawn || changed(), signal);
  store.on("image", changed, signal);
  store.on(
    "select",
    () => {
      // the rows stay: a double click needs the same one twice
      for (const node of list.querySelectorAll("[data-class]")) {
        const chosen = node instanceof HTMLElement && Number(node.dataset.class) === store.selected;
        node.classList.toggle("chosen", chosen);
        node.setAttribute("aria-selected", String(chosen));
      }
      reveal();
    },
    signal,
  );
  keys.add("Classes", [
    { keys: ["l"], text: "add a class", edits: true, run: () => edit(0) },
    { keys: [], mouse: ["Alt+↑", "Alt+↓"], text: "in the list of classes: move the chosen class, and with it its digit", run: () => false },
    { keys: ["m"], text: "rename or recolour the chosen class", edits: true, run: () => edit(store.selected) },
  ]);
  draw();
}
