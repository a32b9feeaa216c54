/** Export: a data set of the labelled images, with a preview of its folders. */

import { empty, notice, segmented, waiting } from "../tasks.js";
import { button, count, h, icon, plural, toast } from "../ui.js";
import { openApply } from "./apply.js";

/**
 * @typedef {object} Preview
 * @property {string} text
 * @property {string[]} lines what the command prints
 * @property {Record<string, Record<string, number>>} counts images by class and split
 * @property {string[]} contradictions
 * @property {string[]} tree files relative to the data set, the first ones
 * @property {number} files
 */

/** @type {Record<string, string>} */
const FORMATS = {
  csv: "one table: file, label, split",
  imagefolder: "a folder a class, as torchvision reads it",
  coco: "COCO JSON with categories",
  yolo: "YOLO classification folders",
  hf: "Hugging Face imagefolder with metadata",
  fiftyone: "FiftyOne image classification",
};
const TRANSFERS = ["copy", "hardlink", "symlink"];
const SPLITS = /** @type {const} */ (["train", "val", "test"]);
/** @type {Record<string, number[]>} */
const PRESETS = { all: [100, 0, 0], two: [80, 0, 20], three: [80, 10, 10] };
const LISTED = 6;
const NOTED = 5;

/** @typedef {{folders: Map<string, Tree>, files: string[], total: number}} Tree */

/** @returns {Tree} */
const newTree = () => ({ folders: new Map(), files: [], total: 0 });

/**
 * @param {string[]} files
 * @returns {Tree}
 */
export function treeOf(files) {
  const root = newTree();
  for (const file of files) {
    const parts = file.split("/");
    const name = parts.pop() ?? "";
    let node = root;
    node.total += 1;
    for (const part of parts) {
      let next = node.folders.get(part);
      if (!next) node.folders.set(part, (next = newTree()));
      node = next;
      node.total += 1;
    }
    node.files.push(name);
  }
  return root;
}

/**
 * @param {Tree} tree
 * @param {number} depth
 * @returns {HTMLElement}
 */
function drawTree(tree, depth) {
  const list = h("ul", { class: "tree" });
  for (const [name, inner] of [...tree.folders].sort(([a], [b]) => a.localeCompare(b))) {
    list.append(
      h(
        "li",
        {},
        h(
          "details",
          { open: depth < 2 && tree.folders.size <= 12 },
          h("summary", {}, h("span", { class: "tree-folder" }, `${name}/`), h("span", { class: "quiet-text" }, count(inner.total))),
          drawTree(inner, depth + 1),
        ),
      ),
    );
  }
  for (const file of tree.files.slice(0, LISTED)) list.append(h("li", { class: "tree-file" }, file));
  const more = tree.files.length - LISTED;
  if (more > 0) list.append(h("li", { class: "tree-file quiet-text" }, `… ${count(more)} more`));
  return list;
}

/**
 * What the command warns of, such as classes that are missing in a split.
 * @param {Preview} found
 */
function notes(found) {
  const lines = found.lines.filter((line) => line.startsWith("note: ")).map((line) => line.slice(6));
  if (!lines.length) return [];
  const more = lines.length - NOTED;
  return [
    h(
      "ul",
      { class: "export-notes quiet-text" },
      ...lines.slice(0, NOTED).map((line) => h("li", {}, line)),
      more > 0 && h("li", {}, `… and ${count(more)} more`),
    ),
  ];
}

/** @type {import("../types.js").Screen} */
export const exporting = {
  id: "export",
  title: "Export",
  key: "e",
  icon: "export",
  mount(root, context) {
    const { store, keys, signal, say } = context;
    const body = h("div", { class: "export-body" });
    root.append(h("header", { class: "screen-head task-head" }, h("h1", {}, "Export"), h("span", { class: "quiet-text head-note" }, "A data set of the labelled images. A cluster is never in two splits.")), body);
    const parts = store.state.run.dst.replace(/[\\/]+$/, "").split(/[\\/]/);
    const result = parts.pop() || "result";
    const folder = parts.join("/");
    let preset = "three";
    let timer = 0;
    let ticket = 0;
    let busy = false;
    const formats = Object.keys(FORMATS).map((name) => {
      const box = h("input", { type: "checkbox", value: name, checked: name === "imagefolder" });
      return { name, box, node: h("label", { class: "format" }, box, h("span", {}, h("strong", {}, name), h("span", { class: "quiet-text" }, FORMATS[name] ?? ""))) };
    });
    const name = h("input", { type: "text", class: "field", value: `${result}_dataset`, maxlength: 200, spellcheck: "false", "aria-label": "Name of the new folder" });
    const shares = SPLITS.map((split, i) => {
      const field = h("input", { type: "number", class: "field share", min: 0, max: 100, step: 1, value: PRESETS[preset][i], "aria-label": `${split}, per cent` });
      return { split, field, node: h("label", { class: "share-label" }, split, field, h("span", { class: "quiet-text" }, "%")) };
    });
    const seed = h("input", { type: "number", class: "field seed", min: 0, step: 1, value: 0 });
    const transfer = h("select", {}, ...TRANSFERS.map((one) => h("option", { value: one }, one)));
    const least = h("input", { type: "range", min: 0, max: 100, step: 5, value: 0, "aria-label": "Least confidence" });
    const leastText = h("span", { class: "quiet-text" }, "all labels");
    const splits = segmented(
      "Splits",
      [{ value: "all", text: "No split" }, { value: "two", text: "80 / 20" }, { value: "three", text: "80 / 10 / 10" }],
      preset,
      (next) => {
        preset = next;
        splits.set(next);
        shares.forEach((share, i) => (share.field.value = String(PRESETS[next][i])));
        later();
      },
    );
    const pending = h("div", {});
    const preview = h("section", { class: "export-preview", "aria-label": "Preview" });
    const write = button({ label: "Export", icon: "export", key: "Ctrl+Enter", primary: true, edits: true, run: () => void send(false) });
    const form = h(
      "form",
      { class: "export-form", on: { submit: (/** @type {Event} */ event) => event.preventDefault() } },
      pending,
      h("fieldset", {}, h("legend", {}, "Formats"), h("div", { class: "formats" }, ...formats.map((one) => one.node))),
      h(
        "fieldset",
        {},
        h("legend", {}, "Splits"),
        splits.node,
        h("div", { class: "shares" }, ...shares.map((one) => one.node), h("label", { class: "share-label" }, "seed", seed)),
      ),
      h(
        "fieldset",
        {},
        h("legend", {}, "Folder"),
        h("label", { class: "folder-label" }, h("span", { class: "quiet-text folder-parent", title: folder }, folder ? `a new folder in ${folder}` : "a new folder beside the result"), name),
        h("div", { class: "folder-row" }, h("label", {}, "Images: ", transfer), h("label", { class: "least" }, "Confidence ", least, leastText)),
      ),
      h("div", { class: "export-go" }, write),
    );
    body.replaceChildren(form, preview);

    const settings = () => {
      /** @type {Record<string, number>} */
      const split = {};
      for (const { split: one, field } of shares) {
        const value = Number(field.value) / 100;
        if (value > 0) split[one] = Math.round(value * 1000) / 1000;
      }
      return {
        out: name.value.trim(),
        formats: formats.filter((one) => one.box.checked).map((one) => one.name),
        split: Object.keys(split).length ? split : null,
        seed: Number(seed.value) || 0,
        transfer: transfer.value,
        min_confidence: Number(least.value) / 100,
      };
    };

    const drawPending = () => {
      const waits = store.state.pending;
      pending.replaceChildren();
      if (waits) {
        pending.append(
          notice(
            `${plural(waits, "command")} not applied yet. An export takes the applied result.`,
            button({ label: "Apply…", primary: true, edits: true, run: () => void openApply(store) }),
          ),
        );
      }
      write.disabled = waits > 0 || busy;
    };

    /**
     * @param {Preview} found
     * @param {boolean} written
     */
    const drawPreview = (found, written) => {
      const names = Object.keys(found.counts);
      const used = SPLITS.filter((split) => names.some((one) => split in found.counts[one]));
      const sum = (/** @type {string} */ split) => names.reduce((all, one) => all + (found.counts[one][split] ?? 0), 0);
      const tree = treeOf(found.tree);
      preview.replaceChildren(
        h("h2", {}, written ? "Written" : "Preview"),
        h("p", { class: written ? "export-text written" : "export-text" }, written && icon("check"), found.text),
        ...found.contradictions.map((line) => notice(line)),
        h(
          "div",
          { class: "table-wrap" },
          h(
            "table",
            { class: "counts" },
            h("thead", {}, h("tr", {}, h("th", {}, "Class"), ...used.map((split) => h("th", { class: "number" }, split)))),
            h(
              "tbody",
              {},
              ...names.slice(0, 100).map((one) =>
                h("tr", {}, h("th", { scope: "row" }, one), ...used.map((split) => h("td", { class: found.counts[one][split] ? "number" : "number none" }, count(found.counts[one][split] ?? 0)))),
              ),
              names.length > 100 && h("tr", {}, h("td", { class: "quiet-text" }, `… ${names.length - 100} more`)),
            ),
            h("tfoot", {}, h("tr", {}, h("th", { scope: "row" }, "All"), ...used.map((split) => h("td", { class: "number" }, count(sum(split)))))),
          ),
        ),
        ...notes(found),
        h("h2", {}, "Files"),
        h("p", { class: "quiet-text" }, `${plural(found.files, "file")} in ${name.value}/`, found.files > found.tree.length ? `, the first ${count(found.tree.length)} are shown` : ""),
        drawTree(tree, 0),
      );
    };

    /** @param {boolean} dry */
    const send = async (dry) => {
      if (store.readOnly && !dry) return;
      if (busy) return;
      drawPending();
      const given = settings();
      leastText.textContent = given.min_confidence ? `${Math.round(100 * given.min_confidence)} % or more` : "all labels";
      if (store.state.pending) {
        preview.replaceChildren(empty("Apply first.", "The preview shows what an export of the applied result writes."));
        return;
      }
      if (!given.formats.length) {
        preview.replaceChildren(empty("No format.", "Choose one format or more."));
        return;
      }
      if (!store.state.classes.length) {
        preview.replaceChildren(empty("No labels yet.", "Name clusters or images first, then apply."));
        return;
      }
      const mine = ++ticket;
      busy = !dry;
      drawPending();
      preview.setAttribute("aria-busy", "true");
      if (!dry) preview.replaceChildren(waiting("Writing the data set…"));
      try {
        const found = /** @type {Preview} */ (await store.post("export", { ...given, dry_run: dry }));
        if (mine !== ticket || signal.aborted) return;
        drawPreview(found, !dry);
        if (!dry) {
          toast(found.text);
          say(found.text);
        }
      } catch (error) {
        if (mine !== ticket || signal.aborted) return;
        const text = error instanceof Error ? error.message : String(error);
        preview.replaceChildren(notice(text));
      } finally {
        if (mine === ticket) preview.removeAttribute("aria-busy");
        if (!dry) busy = false;
        drawPending();
      }
    };
    const later = () => {
      clearTimeout(timer);
      timer = setTimeout(() => void send(true), 250);
    };
    form.addEventListener("input", (event) => {
      if (event.target instanceof HTMLInputElement && event.target.classList.contains("share")) splits.set("");
      later();
    });
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      if (!write.disabled) void send(false);
    });
    signal.addEventListener("abort", () => clearTimeout(timer));
    keys.bind("Export", [
      { keys: ["ctrl+Enter"], text: "write the data set", edits: true, run: () => {
        if (!write.disabled) void send(false);
      } },
      { keys: ["a"], text: "apply the decisions first", edits: true, run: () => void openApply(store) },
    ]);
    store.on("change", later, signal);
    void send(true);
  },
};
