/** History: every command; jump back to any of them. */

import { empty } from "../tasks.js";
import { h, icon, plural, toast, toastError } from "../ui.js";

/**
 * @typedef {object} Entry
 * @property {number} seq
 * @property {string} op
 * @property {string} text
 * @property {string} time
 * @property {boolean} undone
 */

/** @type {Record<string, string>} */
const ICONS = {
  name: "name", merge: "merge", split: "split", move: "move", reject: "trash", keep_best: "star", mark: "check",
  threshold: "threshold", answer: "questions", label: "name", spread: "name", open: "clusters",
};

/** @param {string} time */
function ago(time) {
  const seconds = Math.max(0, (Date.now() - Date.parse(time)) / 1000);
  const steps = /** @type {[number, string][]} */ ([[86400, "day"], [3600, "hour"], [60, "minute"]]);
  for (const [size, unit] of steps) {
    if (seconds >= size) return `${plural(Math.floor(seconds / size), unit)} ago`;
  }
  return "just now";
}

/** @type {import("../types.js").Screen} */
export const historyScreen = {
  id: "history",
  title: "History",
  key: "h",
  icon: "history",
  mount(root, context) {
    const { store, keys, signal, say } = context;
    /** @type {Entry[]} */
    let entries = [];
    let current = 0;
    const list = h("ol", { class: "history-list", role: "listbox", "aria-label": "Commands, newest first", tabindex: 0 });
    const facts = h("span", { class: "quiet-text" });
    root.append(
      h(
        "header",
        { class: "screen-head task-head" },
        h("h1", {}, "History"),
        facts,
      ),
      h("div", { class: "scroller task-scroll" }, list),
    );

    const rows = () => /** @type {HTMLElement[]} */ ([...list.children]);
    /** @param {number} place */
    const move = (place) => {
      const all = rows();
      current = Math.min(Math.max(place, 0), all.length - 1);
      all.forEach((row, i) => {
        row.classList.toggle("current", i === current);
        row.setAttribute("aria-selected", String(i === current));
      });
      const row = all[current];
      if (!row) return;
      list.setAttribute("aria-activedescendant", row.id);
      row.scrollIntoView({ block: "nearest" });
    };

    /** @param {number} seq */
    const jump = async (seq) => {
      try {
        const answer = await store.jump(seq);
        toast(answer.text ?? "Jumped.");
        say(answer.text ?? "");
      } catch (error) {
        toastError(error);
      }
    };

    const draw = () => {
      const done = entries.filter((entry) => !entry.undone).length;
      const undone = entries.length - done;
      facts.textContent =
        plural(done, "command") + (undone ? ` · ${undone} undone` : "") +
        (store.state.pending ? ` · ${store.state.pending} not applied` : " · all applied");
      const last = entries.filter((entry) => !entry.undone).pop()?.seq ?? 0;
      /** @type {Entry} */
      const start = { seq: 0, op: "open", text: "the result as it was", time: "", undone: false };
      const shown = [...entries].reverse().concat(start);
      list.replaceChildren(
        ...shown.map((entry) => {
          const here = entry.seq === last;
          return h(
            "li",
            {
              class: `history-row${entry.undone ? " undone" : ""}${here ? " here" : ""}`,
              id: `history-${entry.seq}`,
              role: "option",
              dataset: { seq: entry.seq },
              on: { click: () => (here ? undefined : void jump(entry.seq)) },
            },
            h("span", { class: "history-dot" }, icon(ICONS[entry.op] ?? "check")),
            h("span", { class: "history-text" }, entry.text),
            here && h("span", { class: "chip named" }, h("span", {}, "now")),
            entry.undone && h("span", { class: "chip" }, h("span", {}, "undone")),
            entry.seq === store.state.applied_rev && entry.seq > 0 && h("span", { class: "chip done" }, h("span", {}, "applied")),
            entry.time ? h("time", { datetime: entry.time, title: new Date(entry.time).toLocaleString() }, ago(entry.time)) : h("span", {}),
          );
        }),
      );
      if (!entries.length) {
        list.append(h("li", {}, empty("No commands yet.", "Name, merge or split clusters: each command appears here.")));
      }
      move(Math.max(0, rows().findIndex((row) => row.classList.contains("here"))));
    };

    const load = async () => {
      try {
        entries = await store.get("history", signal);
        draw();
      } catch (error) {
        if (!signal.aborted) toastError(error);
      }
    };

    keys.bind("History", [
      { keys: ["ArrowDown", "j"], text: "older command", run: () => move(current + 1) },
      { keys: ["ArrowUp", "k"], text: "newer command", run: () => move(current - 1) },
      { keys: ["Home"], text: "newest command", run: () => move(0) },
      { keys: ["End"], text: "the result as it was", run: () => move(entries.length) },
      {
        keys: ["Enter", " "],
        text: "go back, or forward, to this command",
        edits: true,
        run: () => {
          const row = rows()[current];
          if (row?.dataset.seq && !row.classList.contains("here")) void jump(Number(row.dataset.seq));
        },
      },
    ]);
    store.on("change", () => void load(), signal);
    void load();
    list.focus({ preventScroll: true });
  },
};
