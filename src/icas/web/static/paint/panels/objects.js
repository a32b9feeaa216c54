/** Panel *Objects*: the objects of the open image; select, hide, delete, give another class. */

import { VirtualGrid } from "../../grid.js";
import { button, count, h, icon, plural, toastError } from "../../ui.js";
import { codeOf } from "../document.js";
import { shade } from "../labels.js";

/** @typedef {import("../types.js").PaintObject} PaintObject */
/** @typedef {import("../types.js").PaintContext} PaintContext */

/**
 * @param {HTMLElement} root
 * @param {PaintContext} context
 */
export function buildObjects(root, context) {
  const { store, viewer, say, signal } = context;
  /** @type {PaintObject[]} */
  let objects = [];
  let offered = "";
  const scroller = h("div", { class: "objects" });
  const empty = h("p", { class: "panel-empty" });
  const facts = h("p", { class: "object-facts quiet-text" });
  const goal = h("select", { class: "object-class", "aria-label": "Class of the object", title: "Give the object another class" });
  const remove = button({ label: "Delete", icon: "trash", edits: true, class: "object-delete", run: () => void drop() });
  const actions = h("div", { class: "object-actions", "data-edits": true }, goal, remove);
  const add = button({ label: "New object", icon: "plus", key: "i", quiet: true, edits: true, class: "class-add", run: () => void store.newObject() });
  actions.hidden = true;
  root.append(scroller, empty, h("div", { class: "object-foot" }, facts, actions), add);

  const grid = new VirtualGrid(scroller, {
    label: "Objects of the image",
    height: 30,
    pad: 6,
    create: () =>
      h(
        "div",
        { class: "object-item" },
        h("span", { class: "swatch" }),
        h("span", { class: "class-label" }),
        h("small", { class: "object-area" }),
        h("button", { type: "button", class: "item-tool", tabindex: -1 }, icon("eye")),
      ),
    render,
  });

  /**
   * @param {HTMLElement} node
   * @param {number} index
   */
  function render(node, index) {
    const one = objects[index];
    const [swatch, name, area, eye] = /** @type {HTMLElement[]} */ ([...node.children]);
    const class_ = store.classOf(one.class);
    const chosen = isChosen(one);
    swatch.style.backgroundColor = class_ ? `rgb(${shade(class_.color, one.number).join(" ")})` : "";
    name.textContent = title(one);
    area.textContent = share(one.area);
    node.classList.toggle("chosen", chosen);
    const hidden = store.hiddenObjects.has(codeOf(one.class, one.number));
    node.classList.toggle("is-hidden", hidden || (class_?.hidden ?? false));
    eye.classList.toggle("on", hidden);
    eye.replaceChildren(icon(hidden ? "hidden" : "eye"));
    eye.title = `${hidden ? "Show" : "Hide"} ${title(one)}`;
    eye.setAttribute("aria-label", eye.title);
    eye.setAttribute("aria-pressed", String(hidden));
    node.setAttribute("aria-selected", String(chosen));
    node.setAttribute("aria-label", `${title(one)}, ${share(one.area)} of the image`);
    node.title = `${count(one.area)} pixels, ${one.box[3] - one.box[1]} × ${one.box[2] - one.box[0]}`;
  }

  /** @param {PaintObject} one */
  function title(one) {
    const name = store.classOf(one.class)?.name ?? `class ${one.class}`;
    const several = one.number > 1 || objects.some((other) => other.class === one.class && other.number > 1);
    return several ? `${name} ${one.number}` : name;
  }

  /** @param {number} area */
  function share(area) {
    const { doc } = store;
    const part = doc ? (100 * area) / (doc.width * doc.height) : 0;
    return part >= 0.1 ? `${part.toFixed(1)} %` : `${count(area)} px`;
  }

  /** @param {PaintObject} one */
  function isChosen(one) {
    return one.class === store.selected && one.number === store.objectNumber(one.class);
  }

  function draw() {
    const order = new Map(store.classes.map((one, i) => [one.number, i]));
    objects = [...(store.doc?.objects ?? [])].sort(
      (a, b) => (order.get(a.class) ?? 0) - (order.get(b.class) ?? 0) || a.number - b.number,
    );
    const chosen = objects.findIndex(isChosen);
    const one = objects[chosen];
    scroller.hidden = objects.length === 0;
    empty.hidden = objects.length > 0;
    empty.textContent = store.doc ? "Nothing is painted in this image." : "";
    if (grid.count === objects.length) grid.refresh();
    else grid.setCount(objects.length);
    grid.setCurrent(chosen, false);
    const painted = objects.reduce((sum, other) => sum + other.area, 0);
    facts.hidden = objects.length === 0;
    facts.textContent = one ? `${title(one)}: ${count(one.area)} pixels` : `${plural(objects.length, "object")}, ${share(painted)} painted`;
    const { ops } = store.state;
    actions.hidden = !one || !ops || !["object_class", "object_delete"].some((op) => ops.includes(op));
    goal.hidden = !ops?.includes("object_class") || store.classes.length < 2;
    remove.hidden = !ops?.includes("object_delete");
    const names = JSON.stringify(store.classes.map((other) => [other.number, other.name]));
    if (names !== offered) {
      offered = names;
      goal.replaceChildren(...store.classes.map((other) => h("option", { value: other.number }, other.name)));
    }
    if (one) goal.value = String(one.class);
  }

  /** @param {number} index */
  function select(index) {
    const one = objects[index];
    if (!one) return;
    store.setObject(one.class, one.number);
    viewer.showBox(one.box);
    viewer.flash(one.class, one.number);
    say(title(one));
  }

  /** @param {number} index */
  function hide(index) {
    const one = objects[index];
    if (!one) return;
    const code = codeOf(one.class, one.number);
    if (!store.hiddenObjects.delete(code)) store.hiddenObjects.add(code);
    viewer.restyle();
    grid.refreshCell(index);
  }

  async function drop() {
    const one = objects[grid.current];
    if (!one) return;
    try {
      await store.command("object_delete", { class: one.class, number: one.number });
    } catch (error) {
      toastError(error);
    }
  }

  goal.addEventListener("change", () => {
    const one = objects[grid.current];
    if (!one) return;
    store.command("object_class", { class: one.class, number: one.number, to: Number(goal.value) }).catch((error) => {
      toastError(error);
      draw();
    });
  });
  scroller.addEventListener("click", (event) => {
    const index = grid.indexOf(event);
    if (event.target instanceof Element && event.target.closest(".item-tool")) hide(index);
    else select(index);
  });
  let pointed = -1;
  /** @param {number} index row under the pointer, or -1 */
  const point = (index) => {
    if (index === pointed) return;
    pointed = index;
    viewer.flash(objects[index]?.class ?? null, objects[index]?.number ?? null);
  };
  scroller.addEventListener("pointerover", (event) => point(grid.indexOf(event)));
  scroller.addEventListener("pointerleave", () => point(-1));
  scroller.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    /** @type {Record<string, () => void>} */
    const runs = {
      ArrowDown: () => select(Math.min(grid.current + 1, objects.length - 1)),
      ArrowUp: () => select(Math.max(grid.current - 1, 0)),
      h: () => hide(grid.current),
      Delete: () => void (remove.hidden || store.readOnly || drop()),
    };
    const run = runs[event.key];
    if (!run) return;
    event.preventDefault();
    event.stopPropagation();
    run();
  });
  let frame = 0;
  const later = () => {
    // a command changes objects, selection and state: drawn once
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      if (store.loaded) draw();
    });
  };
  for (const type of ["state", "objects", "select", "image", "doc"]) store.on(type, later, signal);
  signal.addEventListener("abort", () => {
    cancelAnimationFrame(frame);
    grid.destroy();
  });
  later();
}
