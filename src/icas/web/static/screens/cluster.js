/** Screen *Cluster*: the images of one cluster, of the outliers or of the rejected images. */

import { chooseNear, decide, decisionBar } from "../decide.js";
import { thumbnail, VirtualGrid } from "../grid.js";
import { nearest, nextAfter, nextDoubtful, sortClusters, title, updateOrder } from "../ordering.js";
import { paintAction } from "../painting.js";
import { button, count, h, icon, plural, similarity, toast, toastError } from "../ui.js";
import { keepView, order, view } from "../view.js";
import { stateChip } from "./clusters.js";

/** @typedef {import("../types.js").Cluster} Cluster */
/** @typedef {import("../types.js").Context} Context */
/** @typedef {import("../types.js").Detail} Detail */

const CAPTION = 28; // pixels below the square, with the frame
const DRAG = 6; // pixels before a press becomes a drag
const COMPARED = 4;

/** @type {{show: (params: string[]) => void, grid: VirtualGrid} | null} */
let open = null;

/** @type {import("../types.js").Screen} */
export const cluster = {
  id: "cluster",
  title: "Cluster",
  key: "",
  hidden: true,
  mount(root, context) {
    open = build(root, context);
    open.show(context.params);
  },
  update(params) {
    open?.show(params);
    return open !== null;
  },
  unmount() {
    open?.grid.destroy();
    open = null;
  },
};

/**
 * @param {HTMLElement} root
 * @param {Context} context
 */
function build(root, context) {
  const { store, keys, go, signal } = context;
  /** @type {number | "outliers" | "rejected"} */
  let place = -1;
  /** @type {number[]} images in the order shown */
  let images = [];
  /** @type {Detail | null} */
  let detail = null;
  /** @type {Map<number, number | null>} similarity to the medoid */
  let strength = new Map();
  /** @type {Set<number>} */
  const selected = new Set();
  /** @type {Set<number>} images that are being moved or rejected: not shown while the answer comes */
  const leaving = new Set();
  let anchor = -1;

  // --- head
  const name = h("h1", {});
  const facts = h("span", { class: "quiet-text" });
  const chip = h("span", {});
  const before = button({ label: "Previous cluster", icon: "back", key: "[", bare: true, quiet: true, run: () => step(-1) });
  const after = button({ label: "Next cluster", icon: "next", key: "]", bare: true, quiet: true, run: () => step(1) });
  const where = h("span", { class: "quiet-text" });
  const size = h("input", { type: "range", min: 88, max: 296, step: 16, value: view.size, "aria-label": "Size of the images" });
  const compare = button({ label: "Compare", icon: "compare", key: "c", run: () => openCompare() });
  const move = button({ label: "Move", icon: "move", key: "v", edits: true, run: () => void chooseGoal() });
  const back = h("a", { class: "button", href: "#/clusters", title: "All clusters (Esc)" }, icon("clusters"), h("span", { class: "button-text" }, "All clusters"));
  const head = h(
    "div",
    { class: "screen-head" },
    back,
    before,
    where,
    after,
    h("div", { class: "cluster-head" }, name, chip, facts),
    h("span", { class: "spring" }),
    h("label", { class: "size-range" }, icon("clusters"), size),
    compare,
    move,
  );
  const scroller = h("div", { class: "grid" });
  const goals = h("ul", {});
  const goalPanel = h("aside", { class: "goals", "data-edits": true, "aria-label": "Move the selection to" }, h("h2", {}, "Drag here, or select and click"), goals);
  const empty = h("div", { class: "empty" });
  const bar = decisionBar(context, {
    name: (given) => give(given),
    leave: () => scroller.focus({ preventScroll: true }),
    actions: [
      { key: "m", label: "Merge", icon: "merge", text: "merge with another cluster; with a selection: move it to another cluster", run: () => merge() },
      { key: "s", label: "Split", icon: "split", text: "split at the bridge; with a selection: split it off", run: () => split() },
      { key: "b", label: "Best", inside: true, icon: "star", text: "keep the sharpest image as the best; with one image selected: keep that one", run: () => best() },
      { key: "u", label: "Unsure", inside: true, icon: "doubt", text: "mark the cluster as doubtful", run: () => mark("doubtful") },
      { key: ".", label: "Done", inside: true, icon: "check", text: "mark the cluster as done", run: () => mark("done") },
      { key: "x", label: "Reject", icon: "cross", text: "reject the selected images, or the current one; among rejected images: restore them", run: () => reject() },
      ...paintAction(store, "paint the image by segments", () => images[grid.current]),
    ],
  });
  root.append(head, h("div", { class: "cluster-body" }, scroller, empty, goalPanel), bar.node);

  const grid = new VirtualGrid(scroller, {
    label: "Images",
    many: true,
    gap: 10,
    pad: 12,
    width: view.size,
    height: CAPTION,
    square: true,
    create: () =>
      h(
        "div",
        { class: "tile" },
        h("div", { class: "tile-image" }, thumbnail(), h("span", { class: "tile-check" }, icon("check")), h("span", { class: "tile-marks" })),
        h("div", { class: "tile-text" }, h("span", {}), h("span", {})),
      ),
    render,
    head: (section) => sectionHead(section),
  });

  /**
   * @param {HTMLElement} node
   * @param {number} index
   */
  function render(node, index) {
    const image = images[index];
    const [holder, text] = /** @type {HTMLElement[]} */ ([...node.children]);
    const [img, , marks] = /** @type {[HTMLImageElement, HTMLElement, HTMLElement]} */ ([...holder.children]);
    const file = store.file(image);
    grid.image(img, store.thumb(image, view.size * devicePixelRatio > 160 ? 256 : 128));
    const chosen = selected.has(image);
    const bridge = detail?.bridge;
    const isBridge = Boolean(bridge?.striking && (image === bridge.a || image === bridge.b));
    node.classList.toggle("selected", chosen);
    node.classList.toggle("at-bridge", isBridge);
    node.setAttribute("aria-selected", String(chosen));
    /** @type {string[]} */
    const words = [];
    const own = store.labels.get(image);
    const one = shown();
    /** @type {HTMLElement[]} */
    const badges = [];
    /**
     * @param {string} look
     * @param {string} label
     * @param {string} [sign]
     */
    const badge = (look, label, sign) => {
      words.push(label);
      badges.push(h("span", { class: `mark ${look}`, title: label }, sign && icon(sign), h("span", {}, label)));
    };
    if (one && image === store.state.best[one.id]) badge("best", "best", "star");
    if (isBridge) badge("bridge", "bridge");
    if (one && image === one.members[0]) badge("", "medoid");
    if (own && own[1] !== "cluster" && own[0] !== one?.name) badge("", own[0], "name");
    marks.replaceChildren(...badges);
    const value = strength.get(image);
    const shownValue = value === undefined || value === null || (one && image === one.members[0]) ? "" : similarity(value);
    const [left, right] = [...text.children];
    left.textContent = file.split("/").pop() ?? file;
    right.textContent = shownValue;
    node.title = shownValue ? `${file}\nsimilarity to the medoid ${shownValue}` : file;
    node.setAttribute("aria-label", [file, ...words].join(", "));
  }

  /** @param {number} section */
  function sectionHead(section) {
    const bridge = detail?.bridge;
    if (!bridge) return h("div", {});
    const count_ = section === 0 ? bridge.left.length : bridge.right.length;
    const group = h("b", {}, section === 0 ? "Group A" : "Group B");
    const many = h("span", { class: "quiet-text" }, plural(count_, "image"));
    const pick = button({ label: "Select", quiet: true, run: () => select(section === 0 ? bridge.left : bridge.right) });
    if (section === 0) return h("div", {}, group, many, pick);
    const pair = `${base(store.file(bridge.a))} – ${base(store.file(bridge.b))}`;
    const band = h(
      "div",
      { class: "bridge-band" },
      icon("split"),
      h("b", {}, `Bridge: one link of ${similarity(bridge.similarity)} joins the groups`),
      h("span", { title: pair }, pair),
      button({ label: "Split here", icon: "split", key: "s", edits: true, run: () => void split() }),
    );
    return h("div", { class: "after-bridge" }, band, group, many, pick);
  }

  /** @returns {Cluster | undefined} */
  function shown() {
    return typeof place === "number" ? store.clusters.get(place) : undefined;
  }

  /** @param {number[]} chosen */
  function select(chosen) {
    selected.clear();
    for (const image of chosen) selected.add(image);
    drawSelection();
  }

  function drawSelection() {
    scroller.classList.toggle("selecting", selected.size > 0);
    grid.refresh();
    const one = shown();
    bar.about(selected.size ? plural(selected.size, "image") : one ? title(one) : "");
    compare.disabled = selected.size > COMPARED;
    move.disabled = !images.length;
  }

  /**
   * Show another cluster.
   * @param {string[]} params
   */
  function show(params) {
    const [id, image] = params;
    const next = id === "outliers" || id === "rejected" ? id : Number(id);
    if (next !== place) {
      selected.clear();
      anchor = -1;
      scroller.scrollTop = 0;
      grid.setCurrent(-1);
    }
    place = next;
    if (typeof place === "number" && store.clusters.has(place)) {
      view.focus = place;
      keepView();
    }
    if (!order.fresh) sortClusters(store);
    detail = null;
    draw();
    if (image !== undefined) {
      const index = images.indexOf(Number(image));
      if (index >= 0) grid.setCurrent(index);
    } else if (grid.current < 0 && images.length) grid.setCurrent(0);
    scroller.focus({ preventScroll: true });
    void load();
    preload();
  }

  /** The links of the cluster: bridge and similarities. */
  async function load() {
    const one = shown();
    if (!one) {
      void drawGoals();
      return;
    }
    try {
      const loaded = await store.detail(one.id);
      if (shown() !== one) return;
      detail = loaded;
      strength = new Map(loaded.members.map((image, i) => [image, loaded.similarity[i]]));
      redraw();
    } catch (error) {
      if (shown() === one) toastError(error);
    }
    void drawGoals();
  }

  /** The next cluster is there before it is opened. */
  function preload() {
    const at = typeof place === "number" ? order.ids.indexOf(place) : -1;
    const next = store.clusters.get(order.ids[at + 1]);
    if (at < 0 || !next) return;
    store.detail(next.id).catch(() => undefined);
    for (const image of next.members.slice(0, 24)) {
      new Image().src = store.thumb(image, view.size * devicePixelRatio > 160 ? 256 : 128);
    }
  }

  function draw() {
    const one = shown();
    const bridge = one && detail?.bridge?.striking ? detail.bridge : null;
    if (place === "outliers") images = store.state.outliers;
    else if (place === "rejected") images = store.state.rejected;
    else images = !one ? [] : bridge ? inGroups(one, bridge) : one.members;
    if (leaving.size) images = images.filter((image) => !leaving.has(image));
    for (const image of selected) if (!images.includes(image)) selected.delete(image);

    name.textContent = one ? title(one) : place === "outliers" ? "Outliers" : place === "rejected" ? "Rejected images" : "No such cluster";
    name.title = name.textContent;
    chip.replaceChildren(...(one ? [stateChip(one)] : []));
    const weak = one && one.weakest !== null ? ` · weakest link ${similarity(one.weakest)}` : "";
    facts.textContent = plural(images.length, "image") + weak;
    const at = typeof place === "number" ? order.ids.indexOf(place) : -1;
    where.textContent = at >= 0 ? `${count(at + 1)} / ${count(order.ids.length)}` : "";
    before.disabled = at <= 0;
    after.disabled = at < 0 || at >= order.ids.length - 1;
    before.hidden = after.hidden = where.hidden = typeof place !== "number";
    root.classList.toggle("loose", !one);

    scroller.hidden = images.length === 0;
    empty.hidden = images.length > 0;
    if (bridge) {
      const left = bridge.left.filter((image) => !leaving.has(image)).length;
      grid.setSections([
        { count: left, head: 40 },
        { count: images.length - left, head: innerWidth < 640 ? 128 : 84 },
      ]);
    } else grid.setCount(images.length);
    if (!images.length) {
      const words =
        place === "outliers"
          ? ["No outliers", "Every image is in a cluster."]
          : place === "rejected"
            ? ["Nothing is rejected", "The key x rejects images: they are left out of the result and of exports."]
            : ["This cluster is gone", "It was merged, split or rejected. The key z undoes that."];
      empty.replaceChildren(h("h2", {}, words[0]), h("p", {}, words[1]), h("a", { class: "button", href: "#/clusters" }, "All clusters"));
    }
    drawSelection();
  }

  /** Draw what is left; the current image stays, or the one at its place. */
  function redraw() {
    const at = images[grid.current];
    const index = grid.current;
    draw();
    if (images.includes(at)) grid.setCurrent(images.indexOf(at), false);
    else if (images.length) grid.setCurrent(Math.min(Math.max(index, 0), images.length - 1), false);
  }

  // --- where images can go
  let goalsFor = "";

  async function drawGoals() {
    const one = shown();
    /** @type {[string, HTMLElement][]} */
    const rows = [];
    /** @param {string} value @param {string} sign @param {string} label @param {string} [small] */
    const plain = (value, sign, label, small) =>
      rows.push([value, goal(value, h("span", { class: "goal-icon" }, icon(sign)), label, small)]);
    plain("new", "plus", "New cluster");
    if (place !== "outliers") plain("outliers", "clusters", "Outliers", count(store.state.outliers.length));
    const about = selected.size && !one ? [...selected] : images.slice(0, 200);
    const key = `${place} ${store.rev} ${one ? "" : about.join(",")}`;
    goalsFor = key;
    /** @type {Cluster[]} */
    let near = [];
    try {
      near = (await nearest(store, about, 60, true)).rows.flatMap((row) => (row.cluster ? [row.cluster] : []));
    } catch {
      // the others are listed
    }
    if (goalsFor !== key || signal.aborted) return;
    const listed = new Set([place, ...near.map((row) => row.id)]);
    const rest = [...store.clusters.values()].filter((row) => !listed.has(row.id));
    rest.sort((a, b) => Number(b.name !== null) - Number(a.name !== null) || b.members.length - a.members.length);
    for (const row of [...near, ...rest.slice(0, 40 - near.length)]) {
      const img = thumbnail();
      img.src = store.thumb(row.members[0]);
      img.loading = "lazy";
      rows.push([String(row.id), goal(String(row.id), img, title(row), plural(row.members.length, "image"))]);
    }
    goals.replaceChildren(...rows.map(([, node]) => h("li", {}, node)));
  }

  /**
   * @param {string} value
   * @param {HTMLElement} sign
   * @param {string} label
   * @param {string} [small]
   */
  function goal(value, sign, label, small = "") {
    return h(
      "button",
      { type: "button", class: "goal", dataset: { goal: value }, on: { click: () => void moveTo(value, chosenImages()) } },
      sign,
      h("span", { class: "near-name" }, h("b", {}, label), h("small", {}, small)),
    );
  }

  /** @returns {number[]} the selected images, or the current one */
  function chosenImages() {
    if (selected.size) return images.filter((image) => selected.has(image));
    const image = images[grid.current];
    return image === undefined ? [] : [image];
  }

  /**
   * @param {string} goalId id of a cluster, "new" or "outliers"
   * @param {number[]} moved
   */
  async function moveTo(goalId, moved) {
    if (!moved.length) return;
    const to = goalId === "new" || goalId === "outliers" ? goalId : Number(goalId);
    const all = images.length === moved.length;
    await act("move", { images: moved, to }, { loud: true, leave: all, away: to === place ? [] : moved });
  }

  async function chooseGoal() {
    const moved = chosenImages();
    if (!moved.length) return;
    const near = await chooseNear(
      context,
      `Move ${plural(moved.length, "image")} to`,
      shown()?.members ?? moved,
      [{ label: "A new cluster", value: "new" }, ...(place === "outliers" ? [] : [{ label: "The outliers", value: "outliers" }])],
      false,
    );
    if (near === null) return;
    if (typeof near === "string") await moveTo(near, moved);
    else if (near.cluster) await moveTo(String(near.cluster.id), moved);
  }

  // --- decisions

  /**
   * @param {string} op
   * @param {Record<string, unknown>} args
   * @param {{loud?: boolean, leave?: boolean, away?: number[]}} [options] leave: go on to the
   *   next cluster; away: images that leave this one
   */
  async function act(op, args, options = {}) {
    if (options.leave && typeof place === "number") {
      const next = nextAfter(store, [place], true);
      const sent = decide(context, op, args, options.loud);
      if (next >= 0) go(`cluster/${next}`);
      else {
        await sent;
        toast("Every cluster in the list is decided.");
        go("clusters");
      }
      await sent;
      return;
    }
    // all of it before the answer: the next key is for what is left
    const from = place;
    const chosen = [...selected];
    const away = options.away ?? [];
    for (const image of away) leaving.add(image);
    selected.clear();
    if (away.length) redraw();
    else drawSelection();
    const answer = await decide(context, op, args, options.loud);
    if (signal.aborted) return;
    for (const image of away) leaving.delete(image);
    const here = place === from;
    if (away.length) redraw();
    if (!here) return;
    if (!answer && !selected.size) select(chosen);
    if (grid.current >= 0) grid.reveal(grid.current);
  }

  /** @param {string | null} given */
  async function give(given) {
    const one = shown();
    if (selected.size || !one) await act("label", { images: chosenImages(), name: given }, {});
    else await act("name", { cluster: one.id, name: given }, { leave: given !== null });
  }

  async function merge() {
    const one = shown();
    if (selected.size || !one) return chooseGoal();
    const near = await chooseNear(context, `Merge ${title(one)} with`, one.members, [], true);
    if (!near || typeof near === "string") return;
    if (near.cluster) await act("merge", { clusters: [one.id, near.cluster.id] }, { loud: true });
    else await act("move", { images: [near.image], to: one.id }, { loud: true });
  }

  async function split() {
    const one = shown();
    if (!one) {
      if (selected.size) await moveTo("new", chosenImages());
      return;
    }
    if (!selected.size) return act("split", { cluster: one.id, at: "bridge" }, { loud: true });
    const off = chosenImages();
    if (off.length === images.length) return toast("Every image is selected: nothing is left to split from.");
    await act("split", { cluster: one.id, groups: [off] }, { loud: true, away: off });
  }

  async function best() {
    const one = shown();
    if (!one) return;
    if (selected.size > 1) return toast("Select one image to keep, or none for the sharpest.");
    const [image] = [...selected];
    const kept = store.state.best[one.id];
    const args = image === undefined ? { by: "sharpest" } : { image: image === kept ? null : image };
    await act("keep_best", { cluster: one.id, ...args });
  }

  /** @param {"done" | "doubtful"} state */
  async function mark(state) {
    const one = shown();
    if (one) await act("mark", { cluster: one.id, state }, { leave: true });
  }

  async function reject() {
    const chosen = chosenImages();
    if (!chosen.length) return;
    if (place === "rejected") return act("move", { images: chosen, to: "outliers" }, { loud: true, away: chosen });
    const all = images.length === chosen.length;
    await act("reject", { images: chosen }, { loud: selected.size > 1, leave: all, away: chosen });
  }

  function openCompare() {
    const chosen = selected.size ? chosenImages() : chosenImages();
    if (chosen.length > COMPARED) return toast(`Compare takes two to ${COMPARED} images.`);
    if (chosen.length === 1 && images.length > 1) {
      // one image: with the next one
      const at = images.indexOf(chosen[0]);
      chosen.push(images[at + 1] ?? images[at - 1]);
    }
    if (chosen.length) go(`compare/${chosen.join(",")}`);
  }

  // --- movement
  /** @param {number} by */
  function step(by) {
    const at = typeof place === "number" ? order.ids.indexOf(place) : -1;
    const next = order.ids[at + by];
    if (at >= 0 && next !== undefined) go(`cluster/${next}`);
  }

  /**
   * @param {number} index
   * @param {boolean} extend
   */
  function focus(index, extend = false) {
    if (index < 0 || index >= images.length) return;
    if (extend) {
      if (anchor < 0) anchor = Math.max(grid.current, 0);
      selected.clear();
      for (let i = Math.min(anchor, index); i <= Math.max(anchor, index); i++) selected.add(images[i]);
    }
    grid.setCurrent(index);
    if (extend) drawSelection();
    else anchor = -1;
  }

  /** @param {number} index */
  function toggle(index) {
    const image = images[index];
    if (image === undefined) return;
    if (!selected.delete(image)) selected.add(image);
    anchor = index;
    drawSelection();
  }

  // --- pointer: click, shift, lasso, drag
  scroller.addEventListener("pointerdown", (down) => {
    if (down.button !== 0 || down.pointerType === "touch") return;
    const sheet = grid.sheet.getBoundingClientRect();
    if (down.clientX > scroller.getBoundingClientRect().left + scroller.clientWidth) return;
    if (down.target instanceof Element && down.target.closest("button")) return;
    const index = grid.indexOf(down);
    const start = { x: down.clientX - sheet.left, y: down.clientY - sheet.top };
    const keep = down.shiftKey || down.ctrlKey || down.metaKey;
    const kept = keep ? new Set(selected) : new Set();
    const lasso = index < 0 || down.altKey || (down.shiftKey && !selected.has(images[index]));
    /** @type {HTMLElement | null} */
    let shape = null;
    /** @type {HTMLElement | null} */
    let over = null;
    let active = false;
    down.preventDefault();
    scroller.focus({ preventScroll: true });
    scroller.setPointerCapture(down.pointerId);

    /** @param {PointerEvent} event */
    const moved = (event) => {
      if (!active && Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) < DRAG) return;
      if (!active) {
        active = true;
        if (lasso) {
          shape = h("div", { class: "lasso" });
          grid.sheet.append(shape);
        } else {
          if (store.readOnly) return;
          if (!selected.has(images[index])) select([images[index]]);
          shape = ghost(images[index]);
          document.body.append(shape);
          document.body.classList.add("dragging");
        }
      }
      if (!shape) return;
      if (lasso) {
        const now = grid.sheet.getBoundingClientRect();
        const end = { x: event.clientX - now.left, y: event.clientY - now.top };
        const box = { left: Math.min(start.x, end.x), top: Math.min(start.y, end.y), right: Math.max(start.x, end.x), bottom: Math.max(start.y, end.y) };
        shape.style.transform = `translate(${box.left}px, ${box.top}px)`;
        shape.style.width = `${box.right - box.left}px`;
        shape.style.height = `${box.bottom - box.top}px`;
        selected.clear();
        for (const image of kept) selected.add(/** @type {number} */ (image));
        for (const hit of grid.within(box)) selected.add(images[hit]);
        drawSelection();
        const frame = scroller.getBoundingClientRect();
        if (event.clientY > frame.bottom - 24) scroller.scrollTop += 16;
        if (event.clientY < frame.top + 24) scroller.scrollTop -= 16;
      } else {
        shape.style.left = `${event.clientX + 12}px`;
        shape.style.top = `${event.clientY + 12}px`;
        const under = document.elementFromPoint(event.clientX, event.clientY)?.closest(".goal");
        over?.classList.remove("over");
        over = under instanceof HTMLElement ? under : null;
        over?.classList.add("over");
      }
    };
    const finish = () => {
      scroller.removeEventListener("pointermove", moved);
      scroller.removeEventListener("pointerup", up);
      scroller.removeEventListener("pointercancel", finish);
      shape?.remove();
      over?.classList.remove("over");
      document.body.classList.remove("dragging");
    };
    /** @param {PointerEvent} event */
    const up = (event) => {
      const target = over?.dataset.goal;
      finish();
      if (active) {
        if (target) void moveTo(target, chosenImages());
        return;
      }
      click(event, index);
    };
    scroller.addEventListener("pointermove", moved);
    scroller.addEventListener("pointerup", up);
    scroller.addEventListener("pointercancel", finish);
  });
  scroller.addEventListener("click", (event) => {
    const touch = /** @type {PointerEvent} */ (event).pointerType === "touch";
    if (touch && grid.indexOf(event) >= 0) {
      grid.setCurrent(grid.indexOf(event), false);
      toggle(grid.indexOf(event));
    }
  });
  scroller.addEventListener("dblclick", (event) => {
    const index = grid.indexOf(event);
    if (index >= 0) go(`compare/${images[index]}`);
  });

  /**
   * @param {PointerEvent} event
   * @param {number} index
   */
  function click(event, index) {
    if (index < 0) {
      if (selected.size) select([]);
      return;
    }
    if (event.shiftKey) return focus(index, true);
    const box = grid.node(index)?.querySelector(".tile-check")?.getBoundingClientRect();
    const onCheck = box && event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
    grid.setCurrent(index);
    if (event.ctrlKey || event.metaKey || onCheck) return toggle(index);
    const only = selected.size === 1 && selected.has(images[index]);
    select(only ? [] : [images[index]]);
    anchor = index;
  }

  /** @param {number} image */
  function ghost(image) {
    const chosen = [image, ...[...selected].filter((one) => one !== image)];
    const pile = chosen.slice(0, 3).map((one) => {
      const img = thumbnail();
      img.src = store.thumb(one);
      return img;
    });
    return h("div", { class: "ghost" }, ...pile, h("b", {}, count(chosen.length)));
  }

  // --- events
  size.addEventListener("input", () => {
    view.size = Number(size.value);
    keepView();
    grid.setSize(view.size, CAPTION);
    if (grid.current >= 0) grid.reveal(grid.current);
  });
  size.addEventListener("change", () => scroller.focus({ preventScroll: true }));
  store.on(
    "change",
    (changed) => {
      if (changed === null) sortClusters(store);
      else updateOrder(store);
      if (changed === null || typeof place !== "number" || changed.has(place)) {
        detail = null;
        redraw();
        void load();
      } else {
        draw();
        void drawGoals();
      }
    },
    signal,
  );
  store.on("images", () => grid.refresh(), signal);

  /**
   * @param {number} across
   * @param {number} down
   * @param {boolean} [extend]
   */
  const arrow = (across, down, extend = false) => () => focus(grid.step(grid.current, across, down), extend);
  keys.bind(
    "Cluster",
    [
      { keys: ["ArrowRight", "l"], text: "next image", run: arrow(1, 0) },
      { keys: ["ArrowLeft", "h"], text: "previous image", run: arrow(-1, 0) },
      { keys: ["ArrowDown", "j"], text: "a row down", run: arrow(0, 1) },
      { keys: ["ArrowUp", "k"], text: "a row up", run: arrow(0, -1) },
      { keys: ["shift+ArrowRight"], text: "select to the right", run: arrow(1, 0, true) },
      { keys: ["shift+ArrowLeft"], text: "select to the left", run: arrow(-1, 0, true) },
      { keys: ["shift+ArrowDown"], text: "select downwards", run: arrow(0, 1, true) },
      { keys: ["shift+ArrowUp"], text: "select upwards", run: arrow(0, -1, true) },
      { keys: ["PageDown"], text: "a page down", run: () => arrow(0, grid.page)() },
      { keys: ["PageUp"], text: "a page up", run: () => arrow(0, -grid.page)() },
      { keys: ["Home"], text: "first image", run: () => focus(0) },
      { keys: ["End"], text: "last image", run: () => focus(images.length - 1) },
      { keys: [" "], text: "select the image", run: () => toggle(grid.current) },
      { keys: ["ctrl+a"], text: "select all images", run: () => select(images) },
      { keys: ["Enter"], text: "show the image in full size, or compare the selected ones", run: () => (selected.size > 1 ? openCompare() : grid.current >= 0 && go(`compare/${images[grid.current]}`)) },
      { keys: ["c"], text: "compare two to four selected images", run: openCompare },
      { keys: ["v"], text: "move the selected images, or the current one, to another cluster", edits: true, run: () => void chooseGoal() },
      { keys: ["]"], text: "next cluster", run: () => step(1) },
      { keys: ["["], text: "previous cluster", run: () => step(-1) },
      {
        keys: ["Tab"],
        text: "next doubtful cluster",
        run: () => {
          if (document.activeElement !== scroller && document.activeElement !== document.body) return false;
          const next = nextDoubtful(store);
          if (next < 0) return toast("No other cluster in the list is doubtful."), false;
          go(`cluster/${next}`);
          return true;
        },
      },
      {
        keys: ["Escape"],
        text: "clear the selection, then back to all clusters",
        run: () => (selected.size ? select([]) : go("clusters")),
      },
      ...bar.bindings,
    ],
    (letter) => bar.type(letter),
  );

  return { show, grid };
}

/**
 * Both groups, each in the order of the members.
 * @param {Cluster} one
 * @param {import("../types.js").Bridge} bridge
 */
function inGroups(one, bridge) {
  const left = new Set(bridge.left);
  return [...one.members.filter((image) => left.has(image)), ...one.members.filter((image) => !left.has(image))];
}

/** @param {string} file */
function base(file) {
  return file.split("/").pop() ?? file;
}
