/** Quality: issues, copies, and clusters across given splits; reject what is not wanted. */

import { VirtualGrid, thumbnail } from "../grid.js";
import { empty, segmented, thumb, waiting } from "../tasks.js";
import { button, count, h, icon, plural, toast, toastError } from "../ui.js";

/**
 * @typedef {{image: number, issue: string, value: string, severity: number}} Row
 *
 * @typedef {{cluster: number, images: number[], splits: string[]}} Leak
 *
 * @typedef {object} Quality
 * @property {Row[]} rows worst first
 * @property {Leak[]} leaks
 */

/** @type {Record<string, string>} */
const HELP = {
  blurred: "out of focus, or motion blur",
  dark: "no bright pixels; underexposed",
  bright: "no dark pixels, or clipped highlights; overexposed",
  low_contrast: "gray values in a narrow range",
  low_information: "few different gray values; nearly empty",
  odd_size: "much smaller or larger than the other images",
  odd_aspect: "much longer than wide",
  grayscale: "gray, while most images are in color",
};

/** @type {Record<string, (value: string) => string>} what the number is */
const VALUES = {
  blurred: (value) => `blur ${value}`,
  dark: (value) => `brightest ${value} of 255`,
  bright: (value) => `${value} clipped`,
  low_contrast: (value) => `gray range ${value}`,
  low_information: (value) => `${value} bits`,
};

/** @param {Row} row */
const measured = (row) => VALUES[row.issue]?.(row.value) ?? row.value;

/** @param {string} name */
const words = (name) => name.replace("_", " ");

/** @type {import("../types.js").Screen} */
export const quality = {
  id: "quality",
  title: "Quality",
  key: "u",
  icon: "quality",
  async mount(root, context) {
    const { store, keys, signal, say, params } = context;
    /** @type {"issues" | "copies" | "leaks"} */
    let view = params[0] === "copies" || params[0] === "leaks" ? params[0] : "issues";
    const tabs = h("div", {});
    const note = h("span", { class: "quiet-text" });
    const body = h("div", { class: "quality-body" });
    root.append(h("header", { class: "screen-head task-head" }, h("h1", {}, "Quality"), tabs, note), body);
    body.append(waiting(`Checking ${plural(store.state.run.images, "image")}…`));
    /**
     * @param {string} path
     * @returns {Promise<any>}
     */
    const finished = async (path) => {
      for (;;) {
        const answer = await store.get(path, signal);
        if (!answer.wait) return answer;
        const percent = Math.round(100 * answer.progress);
        body.replaceChildren(waiting(`Checking ${plural(store.state.run.images, "image")}… ${percent} %`));
        await new Promise((resolve) => setTimeout(resolve, 400));
      }
    };
    /** @type {Quality} */
    let checked;
    /** @type {number[][]} */
    let equal;
    try {
      checked = await finished("quality");
      equal = (await finished("duplicates")).groups;
    } catch (error) {
      if (!signal.aborted) body.replaceChildren(empty("The images cannot be checked.", error instanceof Error ? error.message : String(error)));
      return;
    }

    /** @type {Set<number>} images that are being rejected: not shown while the answer comes */
    const leaving = new Set();
    const gone = () => new Set([...store.state.rejected, ...leaving]);
    /** @param {Set<number>} rejected */
    const flagged = (rejected) => new Set(checked.rows.filter((row) => !rejected.has(row.image)).map((row) => row.image)).size;
    /** @param {Set<number>} rejected */
    const copies = (rejected) =>
      equal.map((group) => group.filter((image) => !rejected.has(image))).filter((group) => group.length > 1);

    /**
     * @param {number[]} images
     * @param {string} what
     */
    const reject = async (images, what) => {
      if (!images.length) return;
      for (const image of images) leaving.add(image);
      redraw?.();
      drawTabs();
      try {
        await store.command("reject", { images });
        const text = `${what} rejected.`;
        toast(text, { action: "Undo", run: () => void store.undo().catch(toastError) });
        say(text);
      } catch (error) {
        toastError(error);
      } finally {
        for (const image of images) leaving.delete(image);
        redraw?.();
        drawTabs();
      }
    };

    /** @type {(() => void) | null} */
    let redraw = null;
    /** @type {VirtualGrid | null} */
    let grid = null;
    const drawTabs = () => {
      const rejected = gone();
      const bar = segmented(
        "Check",
        [
          { value: "issues", text: "Issues", count: flagged(rejected) },
          { value: "copies", text: "Copies", count: copies(rejected).length },
          { value: "leaks", text: "Leaks", count: checked.leaks.length },
        ],
        view,
        (next) => open(next),
      );
      tabs.replaceChildren(bar.node);
    };

    /** @param {"issues" | "copies" | "leaks"} next */
    const open = (next) => {
      view = next;
      grid?.destroy?.();
      grid = null;
      redraw = null;
      note.textContent = "";
      drawTabs();
      if (view === "issues") issues();
      else if (view === "copies") duplicates();
      else leaks();
    };

    // --- issues

    const issues = () => {
      let filter = "";
      /** @type {Set<number>} */
      const picked = new Set();
      /** @type {{image: number, rows: Row[]}[]} */
      let shown = [];
      const filters = h("div", { class: "filter-chips", role: "group", "aria-label": "Issue" });
      const scroller = h("div", { class: "quality-grid" });
      const bar = h("div", { class: "action-bar" });
      body.replaceChildren(filters, scroller, bar);
      const cells = new VirtualGrid(scroller, {
        label: "Images with issues",
        width: 148,
        height: 178,
        gap: 10,
        pad: 16,
        many: true,
        create: () => {
          const box = h("span", { class: "q-thumb" }, thumbnail());
          return h("div", { class: "q-cell" }, box, h("span", { class: "q-issue" }), h("span", { class: "q-value quiet-text" }));
        },
        render: (node, index) => {
          const { image, rows } = shown[index];
          const [box, issue, value] = /** @type {HTMLElement[]} */ ([...node.children]);
          const img = /** @type {HTMLImageElement} */ (box.firstElementChild);
          cells.image(img, store.thumb(image, 256));
          const first = rows[0];
          issue.textContent = rows.map((row) => words(row.issue)).join(", ");
          value.textContent = measured(first);
          node.title = store.file(image);
          node.setAttribute("aria-label", `${store.file(image)}: ${issue.textContent}, ${measured(first)}`);
          node.setAttribute("aria-selected", String(picked.has(image)));
          node.classList.toggle("picked", picked.has(image));
        },
      });
      grid = cells;

      const draw = () => {
        const rejected = gone();
        for (const image of picked) if (rejected.has(image)) picked.delete(image);
        /** @type {Map<number, Row[]>} */
        const byImage = new Map();
        /** @type {Map<string, number>} */
        const counts = new Map();
        for (const row of checked.rows) {
          if (rejected.has(row.image)) continue;
          counts.set(row.issue, (counts.get(row.issue) ?? 0) + 1);
          if (filter && row.issue !== filter) continue;
          const rows = byImage.get(row.image);
          if (rows) rows.push(row);
          else byImage.set(row.image, [row]);
        }
        shown = [...byImage].map(([image, rows]) => ({ image, rows }));
        if (filter) shown.sort((a, b) => b.rows[0].severity - a.rows[0].severity);
        const total = flagged(rejected);
        filters.replaceChildren(
          chip("", "All", total, ""),
          ...[...counts].sort(([, a], [, b]) => b - a).map(([name, number]) => chip(name, words(name), number, HELP[name] ?? "")),
        );
        note.textContent = HELP[filter] ?? "";
        cells.setCount(shown.length);
        cells.refresh();
        drawBar();
        if (total && !scroller.isConnected) body.replaceChildren(filters, scroller, bar);
        if (!total) body.replaceChildren(empty("No issues found.", `${plural(store.state.run.images - rejected.size, "image")} checked: none is blurred, dark, bright, empty or odd.`));
      };
      /**
       * @param {string} value
       * @param {string} text
       * @param {number} number
       * @param {string} help
       */
      const chip = (value, text, number, help) =>
        h(
          "button",
          {
            type: "button",
            class: "filter-chip",
            title: help || undefined,
            "aria-pressed": String(value === filter),
            on: {
              click: () => {
                filter = value;
                picked.clear();
                draw();
              },
            },
          },
          text,
          h("small", {}, count(number)),
        );
      const chosen = () => (picked.size ? [...picked] : shown[cells.current] ? [shown[cells.current].image] : []);
      const drawBar = () => {
        bar.replaceChildren(
          h("span", { class: "quiet-text" }, picked.size ? `${plural(picked.size, "image")} selected` : `${plural(shown.length, "image")}`),
          h("span", { class: "grow" }),
          button({ label: picked.size === shown.length && shown.length ? "Select none" : "Select all", key: "a", run: selectAll }),
          button({ label: "Open cluster", key: "Enter", run: enter }),
          button({ label: picked.size ? `Reject ${count(picked.size)}` : "Reject", icon: "cross", key: "x", edits: true, run: drop }),
        );
      };
      const selectAll = () => {
        const all = picked.size === shown.length;
        picked.clear();
        if (!all) for (const one of shown) picked.add(one.image);
        cells.refresh();
        drawBar();
      };
      const enter = () => {
        const one = shown[cells.current];
        if (!one) return;
        const home = store.clusterOf(one.image);
        if (home) context.go(`cluster/${home.id}`);
        else toast("This image is in no cluster.");
      };
      const drop = () => {
        const images = chosen();
        void reject(images, plural(images.length, "image"));
      };
      /** @param {number} index */
      const toggle = (index) => {
        const one = shown[index];
        if (!one) return;
        if (!picked.delete(one.image)) picked.add(one.image);
        cells.refresh();
        drawBar();
      };
      scroller.addEventListener("click", (event) => {
        const index = cells.indexOf(event);
        if (index < 0) return;
        cells.setCurrent(index);
        toggle(index);
      });
      const step = (/** @type {number} */ across, /** @type {number} */ down) => {
        cells.setCurrent(cells.step(cells.current, across, down));
        drawBar();
      };
      keys.bind("Quality", [
        { keys: ["ArrowRight", "l"], text: "next image", run: () => step(1, 0) },
        { keys: ["ArrowLeft", "h"], text: "image before", run: () => step(-1, 0) },
        { keys: ["ArrowDown", "j"], text: "row below", run: () => step(0, 1) },
        { keys: ["ArrowUp", "k"], text: "row above", run: () => step(0, -1) },
        { keys: [" "], text: "select the image", run: () => toggle(cells.current) },
        { keys: ["a"], text: "select all, or none", run: selectAll },
        { keys: ["x", "Delete"], text: "reject the selected images, or this one", edits: true, run: drop },
        { keys: ["Enter"], text: "open its cluster", run: enter },
        { keys: ["Tab"], text: "show the copies", run: () => open("copies") },
      ]);
      redraw = draw;
      draw();
      if (shown.length) cells.setCurrent(0);
      scroller.focus({ preventScroll: true });
    };

    // --- copies

    const duplicates = () => {
      let current = 0;
      /** @type {Map<number, number>} first image of a group -> the one to keep */
      const kept = new Map();
      const list = h("ol", { class: "copy-list" });
      const scroller = h("div", { class: "scroller task-scroll" }, list);
      const bar = h("div", { class: "action-bar" });
      /** @type {number[][]} */
      let groups = [];
      const keeps = (/** @type {number[]} */ group) => {
        const one = kept.get(group[0]);
        if (one !== undefined && group.includes(one)) return one;
        // copies often have the longer name
        return group.reduce((best, image) => (store.file(image).length < store.file(best).length ? image : best));
      };
      const others = (/** @type {number[]} */ group) => group.filter((image) => image !== keeps(group));
      const draw = () => {
        groups = copies(gone());
        if (!groups.length) {
          body.replaceChildren(empty("No copies.", "No two images have the same pixels. Nearly equal images are in clusters."));
          return;
        }
        if (!scroller.isConnected) body.replaceChildren(scroller, bar);
        current = Math.min(current, groups.length - 1);
        list.replaceChildren(
          ...groups.slice(0, 500).map((group, i) =>
            h(
              "li",
              { class: i === current ? "copy-row current" : "copy-row", dataset: { group: i }, on: { click: () => move(i) } },
              ...group.slice(0, 12).map((image) => {
                const keep = image === keeps(group);
                return h(
                  "button",
                  {
                    type: "button",
                    class: keep ? "copy keep" : "copy",
                    "aria-pressed": String(keep),
                    title: store.file(image),
                    on: {
                      click: () => {
                        kept.set(group[0], image);
                        current = i;
                        draw();
                      },
                    },
                  },
                  thumb(store, image),
                  h("span", { class: "copy-name" }, store.file(image)),
                  keep ? h("span", { class: "chip done" }, icon("star"), h("span", {}, "keep")) : h("span", { class: "chip" }, h("span", {}, "copy")),
                );
              }),
            ),
          ),
        );
        const all = groups.reduce((sum, group) => sum + group.length - 1, 0);
        bar.replaceChildren(
          h("span", { class: "quiet-text" }, `${plural(groups.length, "group")} of equal images, ${plural(all, "copy", "copies")}`),
          h("span", { class: "grow" }),
          button({ label: "Reject these copies", icon: "cross", key: "x", edits: true, run: drop }),
          button({ label: `Reject all ${count(all)}`, key: "Shift+x", edits: true, run: dropAll }),
        );
      };
      const move = (/** @type {number} */ to) => {
        current = Math.min(groups.length - 1, Math.max(0, to));
        [...list.children].forEach((row, i) => row.classList.toggle("current", i === current));
        list.children[current]?.scrollIntoView({ block: "nearest" });
      };
      const drop = () => {
        const images = groups[current] ? others(groups[current]) : [];
        void reject(images, plural(images.length, "copy", "copies"));
      };
      const dropAll = () => {
        const images = groups.flatMap(others);
        void reject(images, plural(images.length, "copy", "copies"));
      };
      keys.bind("Copies", [
        { keys: ["ArrowDown", "j"], text: "next group", run: () => move(current + 1) },
        { keys: ["ArrowUp", "k"], text: "group before", run: () => move(current - 1) },
        {
          keys: ["b", "ArrowRight", "l"],
          text: "keep the next image of the group",
          run: () => {
            const group = groups[current];
            if (!group) return;
            kept.set(group[0], group[(group.indexOf(keeps(group)) + 1) % group.length]);
            draw();
          },
        },
        { keys: ["x", "Delete"], text: "reject the copies of this group", edits: true, run: drop },
        { keys: ["X"], text: "reject the copies of all groups", edits: true, run: dropAll },
        { keys: ["Tab"], text: "show the leaks", run: () => open("leaks") },
      ]);
      redraw = draw;
      draw();
    };

    // --- leaks

    const leaks = () => {
      let current = 0;
      const list = h("ol", { class: "copy-list" });
      const scroller = h("div", { class: "scroller task-scroll" }, list);
      const bar = h("div", { class: "action-bar" });
      /** @type {Leak[]} */
      let shown = [];
      /** The split of an image: the top folder of its file. */
      const split = (/** @type {number} */ image) => store.file(image).split("/")[0];
      const draw = () => {
        const rejected = gone();
        shown = checked.leaks
          .map((leak) => ({ ...leak, images: leak.images.filter((image) => !rejected.has(image)) }))
          .filter((leak) => new Set(leak.images.map(split)).size > 1);
        if (!shown.length) {
          body.replaceChildren(
            empty(
              "No leaks found.",
              "No cluster has images of several splits. Splits are top folders of the source called train, val or test. An export never divides a cluster.",
            ),
          );
          return;
        }
        if (!scroller.isConnected) body.replaceChildren(scroller, bar);
        current = Math.min(current, shown.length - 1);
        list.replaceChildren(
          ...shown.slice(0, 300).map((leak, i) =>
            h(
              "li",
              { class: i === current ? "copy-row current" : "copy-row", on: { click: () => move(i) } },
              ...leak.images.slice(0, 12).map((image) =>
                h(
                  "span",
                  { class: "copy", title: store.file(image) },
                  thumb(store, image, 256),
                  h("span", { class: "copy-name" }, store.file(image)),
                  h("span", { class: /^train/i.test(split(image)) ? "chip named" : "chip doubtful" }, h("span", {}, split(image))),
                ),
              ),
            ),
          ),
        );
        bar.replaceChildren(
          h("span", { class: "quiet-text" }, `${plural(shown.length, "cluster")} with images of several splits`),
          h("span", { class: "grow" }),
          button({ label: "Open cluster", key: "Enter", run: enter }),
          button({ label: "Reject outside train", icon: "cross", key: "x", edits: true, run: drop }),
          button({ label: "Reject all outside train", key: "Shift+x", edits: true, run: dropAll }),
        );
      };
      const outside = (/** @type {Leak} */ leak) => leak.images.filter((image) => !/^train/i.test(split(image)));
      const move = (/** @type {number} */ to) => {
        current = Math.min(shown.length - 1, Math.max(0, to));
        [...list.children].forEach((row, i) => row.classList.toggle("current", i === current));
        list.children[current]?.scrollIntoView({ block: "nearest" });
      };
      const enter = () => {
        const home = shown[current] && store.clusterOf(shown[current].images[0]);
        if (home) context.go(`cluster/${home.id}`);
      };
      const drop = () => {
        const images = shown[current] ? outside(shown[current]) : [];
        void reject(images, plural(images.length, "image"));
      };
      const dropAll = () => {
        const images = shown.flatMap(outside);
        void reject(images, plural(images.length, "image"));
      };
      keys.bind("Leaks", [
        { keys: ["ArrowDown", "j"], text: "next cluster", run: () => move(current + 1) },
        { keys: ["ArrowUp", "k"], text: "cluster before", run: () => move(current - 1) },
        { keys: ["Enter"], text: "open the cluster", run: enter },
        { keys: ["x", "Delete"], text: "reject its images outside of train", edits: true, run: drop },
        { keys: ["X"], text: "reject those of all clusters", edits: true, run: dropAll },
        { keys: ["Tab"], text: "show the issues", run: () => open("issues") },
      ]);
      redraw = draw;
      draw();
    };

    store.on("change", () => {
      drawTabs();
      redraw?.();
    }, signal);
    open(view);
  },
};
