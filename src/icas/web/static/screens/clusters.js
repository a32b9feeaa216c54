/** Screen *Clusters*: every cluster as a row, to be named, merged, split or rejected. */

import { chooseNear, decide, decisionBar } from "../decide.js";
import { thumbnail, VirtualGrid } from "../grid.js";
import { FILTERS, nextAfter, nextDoubtful, sortClusters, title, updateOrder } from "../ordering.js";
import { paintAction } from "../painting.js";
import { button, count, h, icon, plural, similarity, toast } from "../ui.js";
import { keepView, order, view } from "../view.js";

/** @typedef {import("../types.js").Cluster} Cluster */
/** @typedef {import("../types.js").Context} Context */

/** @type {Record<string, [label: string, icon: string]>} */
export const STATES = {
  untouched: ["Untouched", ""],
  named: ["Named", "name"],
  doubtful: ["Doubtful", "doubt"],
  done: ["Done", "check"],
};
const GAP = 6;

/**
 * @param {Cluster} cluster
 * @returns {HTMLElement}
 */
export function stateChip(cluster) {
  const [label, sign] = STATES[cluster.state] ?? [cluster.state, ""];
  return h("span", { class: `chip ${cluster.state}` }, sign && icon(sign), h("span", {}, label));
}

/** @type {VirtualGrid | null} */
let grid = null;

/** @type {import("../types.js").Screen} */
export const clusters = {
  id: "clusters",
  title: "Clusters",
  key: "c",
  mount(root, context) {
    const { store, keys, go, signal, params } = context;
    const phone = matchMedia("(max-width: 40rem)");
    /** @type {Set<number>} */
    const selected = new Set();
    const scroller = h("div", { class: "rows" });

    // --- toolbar
    const filters = h("div", { class: "segments", role: "group", "aria-label": "Filter" });
    const sort = h(
      "select",
      { "aria-label": "Sort" },
      h("option", { value: "doubt" }, "By doubt"),
      h("option", { value: "size" }, "By size"),
      h("option", { value: "name" }, "By name"),
    );
    sort.value = view.sort;
    const search = h("input", {
      type: "search",
      class: "field",
      placeholder: "Search (/)",
      "aria-label": "Search for a class or file name",
      "data-search": true,
      spellcheck: "false",
    });
    search.value = view.search;
    const outliers = h("a", { class: "button quiet", href: "#/cluster/outliers" });
    const rejected = h("a", { class: "button quiet", href: "#/cluster/rejected" });
    const empty = h("div", { class: "empty" });

    const bar = decisionBar(context, {
      name: (name) => give(name),
      leave: () => scroller.focus({ preventScroll: true }),
      actions: [
        { key: "m", label: "Merge", icon: "merge", text: "merge the selected clusters, or choose a cluster to merge with", run: () => merge() },
        { key: "s", label: "Split", icon: "split", text: "split the cluster at its weakest bridge", run: () => split() },
        { key: "b", label: "Best", icon: "star", text: "keep the sharpest image as the best of the cluster", run: () => best() },
        { key: "u", label: "Unsure", icon: "doubt", text: "mark as doubtful", run: () => mark("doubtful") },
        { key: ".", label: "Done", icon: "check", text: "mark as done", run: () => mark("done") },
        { key: "x", label: "Reject", icon: "cross", text: "reject the images of the cluster", run: () => reject() },
        ...paintAction(store, "paint the medoid of the cluster by segments", () => current()?.members[0]),
      ],
    });
    root.append(
      h("div", { class: "screen-head" }, h("h1", { class: "spoken" }, "Clusters"), filters, sort, search, h("span", { class: "spring" }), outliers, rejected),
      scroller,
      empty,
      bar.node,
    );

    // --- rows
    const side = () => (phone.matches ? 64 : 92);
    const info = () => (phone.matches ? 0 : 224);
    const height = () => (phone.matches ? 136 : 112);
    const rows = new VirtualGrid(scroller, {
      label: "Clusters",
      many: true,
      gap: 6,
      pad: phone.matches ? 8 : 12,
      height: height(),
      create: () => {
        const check = h("span", { class: "row-check" }, icon("check"));
        const name = h("strong", {});
        const facts = h("span", { class: "row-facts" });
        const meter = h("span", { class: "meter" }, h("span", {}));
        const chips = h("span", { class: "row-chips" });
        const images = h("div", { class: "row-images" });
        const open = h("a", { class: "row-open", tabindex: -1, "aria-hidden": "true" }, icon("next"));
        return h("div", { class: "row" }, check, h("div", { class: "row-info" }, name, facts, h("span", { class: "row-state" }, chips, meter)), images, open);
      },
      render,
    });
    grid = rows;
    let width = 0;
    rows.scroller.style.setProperty("--side", `${side()}px`);

    /** Images that a row has room for; measured once, not for every row. */
    let fits = 1;
    function measure() {
      width = scroller.clientWidth;
      const room = width - 2 * (rows.options.pad ?? 0) - info() - (phone.matches ? 24 : 92);
      fits = Math.max(1, Math.floor((room + GAP) / (side() + GAP)));
    }

    /**
     * @param {HTMLElement} node
     * @param {number} index
     */
    function render(node, index) {
      const cluster = store.clusters.get(order.ids[index]);
      if (!cluster) return;
      const [, data, images, open] = /** @type {HTMLElement[]} */ ([...node.children]);
      const [name, facts, state] = /** @type {HTMLElement[]} */ ([...data.children]);
      const chosen = selected.has(cluster.id);
      node.classList.toggle("selected", chosen);
      node.classList.toggle("unnamed", cluster.name === null);
      node.setAttribute("aria-selected", String(chosen));
      node.setAttribute(
        "aria-label",
        `${title(cluster)}, ${plural(cluster.members.length, "image")}, ${cluster.state}`,
      );
      name.textContent = title(cluster);
      name.title = title(cluster);
      const weak = cluster.weakest === null ? "" : ` · weakest link ${similarity(cluster.weakest)}`;
      facts.textContent = plural(cluster.members.length, "image") + weak;
      const [chips, meter] = /** @type {HTMLElement[]} */ ([...state.children]);
      chips.replaceChildren(stateChip(cluster));
      meter.title = `Doubt ${Math.round(100 * cluster.doubt)} %`;
      meter.dataset.level = cluster.doubt > 0.66 ? "high" : cluster.doubt > 0.33 ? "middle" : "low";
      /** @type {HTMLElement} */ (meter.firstElementChild).style.width = `${Math.round(100 * cluster.doubt)}%`;
      open.setAttribute("href", `#/cluster/${cluster.id}`);

      const shown = Math.min(fits, cluster.members.length);
      while (images.children.length > fits) images.lastElementChild?.remove();
      while (images.children.length < fits) {
        images.append(h("span", { class: "row-image" }, thumbnail(), h("span", { class: "row-mark" })));
      }
      const kept = store.state.best[cluster.id];
      for (let i = 0; i < fits; i++) {
        const holder = /** @type {HTMLElement} */ (images.children[i]);
        const [img, text] = /** @type {[HTMLImageElement, HTMLElement]} */ ([...holder.children]);
        holder.hidden = i >= shown;
        if (i >= shown) {
          rows.image(img, "");
          continue;
        }
        const image = cluster.members[i];
        rows.image(img, store.thumb(image));
        holder.title = store.file(image);
        const hidden = cluster.members.length - shown;
        const more = i === shown - 1 && hidden > 0;
        text.className = more ? "row-mark more" : "row-mark";
        text.textContent = more ? `+${count(hidden)}` : "";
        if (!more && image === kept) {
          text.className = "row-mark best";
          text.replaceChildren(icon("star"));
        } else if (!more && i === 0) {
          text.className = "row-mark medoid";
          text.textContent = "medoid";
        }
      }
    }

    // --- state
    const current = () => store.clusters.get(order.ids[rows.current]);

    /** @returns {number[]} the selected clusters, or the current one */
    function targets() {
      const chosen = [...selected].filter((id) => store.clusters.has(id));
      if (chosen.length) return chosen;
      const one = current();
      return one ? [one.id] : [];
    }

    /** @param {number} index */
    function focus(index) {
      rows.setCurrent(index);
      const cluster = current();
      view.focus = cluster ? cluster.id : -1;
      keepView();
      about();
      // the next rows are in the cache of the browser when the person gets there
      const following = store.clusters.get(order.ids[index + Math.ceil(rows.page)]);
      if (following) new Image().src = store.thumb(following.members[0]);
    }

    function about() {
      const ids = targets();
      const one = store.clusters.get(ids[0]);
      bar.about(ids.length > 1 ? plural(ids.length, "cluster") : one ? title(one) : "");
    }

    function drawHead() {
      /** @type {Record<string, number>} */
      const counts = { all: store.clusters.size };
      for (const cluster of store.clusters.values()) counts[cluster.state] = (counts[cluster.state] ?? 0) + 1;
      const held = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.filter : undefined;
      filters.replaceChildren(
        ...FILTERS.map(([id, label]) =>
          h(
            "button",
            {
              type: "button",
              class: "segment",
              "aria-pressed": String(view.filter === id),
              dataset: { filter: id },
              on: { click: () => refilter({ filter: id }) },
            },
            label,
            h("small", {}, count(counts[id] ?? 0)),
          ),
        ),
      );
      const again = held && filters.querySelector(`[data-filter="${held}"]`);
      if (again instanceof HTMLElement) again.focus();
      outliers.replaceChildren("Outliers", h("small", {}, count(store.state.outliers.length)));
      rejected.replaceChildren("Rejected", h("small", {}, count(store.state.rejected.length)));
    }

    function drawRows() {
      const none = order.ids.length === 0;
      scroller.hidden = none;
      empty.hidden = !none;
      rows.setCount(order.ids.length);
      if (none) {
        const filtered = view.filter !== "all" || view.search;
        empty.replaceChildren(
          h("h2", {}, filtered ? "No cluster fits" : "No clusters"),
          h(
            "p",
            {},
            filtered
              ? "No cluster has this state and these words in its class or file names."
              : "At this threshold no images belong together. The screen Threshold shows other values.",
          ),
          filtered
            ? button({ label: "Show all clusters", run: () => refilter({ filter: "all", search: "" }) })
            : h("a", { class: "button", href: "#/threshold" }, "Change the threshold"),
        );
      }
    }

    /** @param {Partial<import("../view.js").View>} change */
    function refilter(change) {
      Object.assign(view, change);
      search.value = view.search;
      keepView();
      sortClusters(store);
      selected.clear();
      drawHead();
      drawRows();
      scroller.scrollTop = 0;
      focus(order.ids.length ? 0 : -1);
    }

    /** @param {number} id */
    function focusOn(id) {
      const index = order.ids.indexOf(id);
      if (index >= 0) focus(index);
      else focus(Math.min(Math.max(rows.current, 0), order.ids.length - 1));
    }

    /**
     * Go on to the next undecided cluster, then send the command.
     * @param {number[]} ids
     * @param {string} op
     * @param {Record<string, unknown>} args
     * @param {{loud?: boolean, stay?: boolean}} [options]
     */
    async function act(ids, op, args, options = {}) {
      if (!ids.length) return;
      const next = options.stay ? view.focus : nextAfter(store, ids, true);
      const again = selected.size > 0;
      selected.clear();
      if (next >= 0) focusOn(next);
      else about();
      if (again) rows.refresh();
      const answer = await decide(context, op, args, options.loud);
      if (!answer) focusOn(ids[0]);
    }

    /** @param {string | null} name */
    function give(name) {
      const ids = targets();
      return act(ids, "name", { clusters: ids, name }, { stay: name === null });
    }

    async function merge() {
      const ids = targets();
      if (ids.length > 1) return act(ids, "merge", { clusters: ids }, { loud: true, stay: false });
      const one = store.clusters.get(ids[0]);
      if (!one) return;
      const near = await chooseNear(context, `Merge ${title(one)} with`, one.members, [], true);
      if (!near || typeof near === "string") return;
      if (near.cluster) await act([one.id], "merge", { clusters: [one.id, near.cluster.id] }, { loud: true, stay: true });
      else await act([one.id], "move", { images: [near.image], to: one.id }, { loud: true, stay: true });
    }

    async function split() {
      const one = current();
      if (one) await act([one.id], "split", { cluster: one.id, at: "bridge" }, { loud: true, stay: true });
    }

    async function best() {
      const one = current();
      if (one) await act([one.id], "keep_best", { cluster: one.id, by: "sharpest" }, { stay: true });
    }

    /** @param {"done" | "doubtful"} state */
    function mark(state) {
      const ids = targets();
      return act(ids, "mark", { clusters: ids, state });
    }

    function reject() {
      const ids = targets();
      return act(ids, "reject", { clusters: ids }, { loud: true });
    }

    function openCurrent() {
      const one = current();
      if (one) go(`cluster/${one.id}`);
    }

    /** @param {number} index */
    function toggle(index) {
      const id = order.ids[index];
      if (id === undefined) return;
      if (!selected.delete(id)) selected.add(id);
      rows.refreshCell(index);
      about();
    }

    /** @param {number} to */
    function selectTo(to) {
      const from = Math.max(rows.current, 0);
      for (let i = Math.min(from, to); i <= Math.max(from, to); i++) selected.add(order.ids[i]);
      focus(to);
      rows.refresh();
      about();
    }

    // --- events
    store.on(
      "change",
      (changed) => {
        if (changed === null) sortClusters(store);
        else updateOrder(store);
        drawHead();
        drawRows();
        focusOn(view.focus);
      },
      signal,
    );
    store.on("images", () => rows.refresh(), signal);
    sort.addEventListener("change", () => refilter({ sort: /** @type {"doubt"} */ (sort.value) }));
    search.addEventListener("input", () => refilter({ search: search.value }));
    search.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape" || event.key === "ArrowDown") {
        if (event.key === "Escape" && search.value) refilter({ search: "" });
        event.preventDefault();
        scroller.focus();
      }
    });
    const observer = new ResizeObserver(() => {
      if (scroller.clientWidth === width) return;
      rows.options.pad = phone.matches ? 8 : 12;
      scroller.style.setProperty("--side", `${side()}px`);
      measure();
      rows.setSize(0, height());
    });
    observer.observe(scroller);
    signal.addEventListener("abort", () => observer.disconnect());
    scroller.addEventListener("click", (event) => {
      const index = rows.indexOf(event);
      if (index < 0 || !(event.target instanceof Element)) return;
      if (event.target.closest(".row-open")) return;
      if (event.target.closest(".row-check") || event.ctrlKey || event.metaKey) {
        focus(index);
        toggle(index);
      } else if (event.shiftKey) selectTo(index);
      else if (index === rows.current && phone.matches) openCurrent();
      else focus(index);
    });
    scroller.addEventListener("dblclick", (event) => {
      if (rows.indexOf(event) >= 0) openCurrent();
    });

    /** @param {number} by */
    const move = (by) => () => focus(Math.max(0, Math.min(rows.count - 1, rows.current + by)));
    keys.bind(
      "Clusters",
      [
        { keys: ["ArrowDown", "ArrowRight", "j", "l"], text: "next cluster", run: move(1) },
        { keys: ["ArrowUp", "ArrowLeft", "k", "h"], text: "previous cluster", run: move(-1) },
        { keys: ["PageDown"], text: "a page down", run: () => move(rows.page)() },
        { keys: ["PageUp"], text: "a page up", run: () => move(-rows.page)() },
        { keys: ["Home"], text: "first cluster", run: () => focus(0) },
        { keys: ["End"], text: "last cluster", run: () => focus(rows.count - 1) },
        { keys: ["Enter"], text: "open the cluster", run: openCurrent },
        { keys: [" "], text: "select", run: () => toggle(rows.current) },
        { keys: ["shift+ArrowDown"], text: "select downwards", run: () => selectTo(Math.min(rows.current + 1, rows.count - 1)) },
        { keys: ["shift+ArrowUp"], text: "select upwards", run: () => selectTo(Math.max(rows.current - 1, 0)) },
        {
          keys: ["Tab"],
          text: "next doubtful cluster (elsewhere, or after Esc: the next control)",
          run: () => {
            if (document.activeElement !== scroller && document.activeElement !== document.body) return false;
            const next = nextDoubtful(store);
            if (next < 0) return toast("No other cluster in the list is doubtful."), false;
            focusOn(next);
            return true;
          },
        },
        {
          keys: ["Escape"],
          text: "clear the selection",
          run: () => {
            if (selected.size) {
              selected.clear();
              rows.refresh();
              about();
            } else {
              const first = filters.querySelector("button");
              first?.focus();
            }
          },
        },
        ...bar.bindings,
      ],
      (letter) => bar.type(letter),
    );

    if (!order.fresh) sortClusters(store);
    else updateOrder(store);
    measure();
    drawHead();
    drawRows();
    const start = order.ids.indexOf(view.focus);
    focus(start >= 0 ? start : order.ids.length ? 0 : -1);
    if (params[0] === "search") search.focus();
    else scroller.focus({ preventScroll: true });
  },
  unmount() {
    grid?.destroy();
    grid = null;
  },
};
