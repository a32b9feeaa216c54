/** The bar of decisions below clusters and images, and the dialogs that it opens. */

import { nearest, title } from "./ordering.js";
import { thumbnail } from "./grid.js";
import { button, completion, count, dialog, h, kbd, plural, similarity, toast, toastError } from "./ui.js";

/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").Binding} Binding */
/** @typedef {import("./types.js").Cluster} Cluster */
/** @typedef {import("./types.js").Context} Context */
/** @typedef {import("./ordering.js").Near} Near */

/**
 * @typedef {object} Action
 * @property {string} key
 * @property {string} label
 * @property {string} icon
 * @property {string} text what it does, for the help
 * @property {boolean} [inside] only for clusters, not for outliers and rejected images
 * @property {() => unknown} run
 *
 * @typedef {object} Bar
 * @property {HTMLElement} node
 * @property {(letter?: string) => void} type open the field for a name
 * @property {(text: string) => void} about say what a name is given to
 * @property {Binding[]} bindings keys of the actions, names and digits
 */

/**
 * @param {Context} context
 * @param {object} options
 * @param {(name: string | null) => unknown} options.name
 * @param {Action[]} options.actions
 * @param {() => void} options.leave focus goes back to the list
 * @returns {Bar}
 */
export function decisionBar(context, { name, actions, leave }) {
  const { store, signal } = context;
  const field = completion({
    label: "Class name",
    placeholder: "Name… (n, or type)",
    up: true,
    items: () => store.classNames,
    pick: (value) => {
      leave();
      name(value);
    },
    cancel: leave,
  });
  const target = h("span", { class: "bar-target quiet-text" });
  const classes = h("div", { class: "bar-classes", role: "group", "aria-label": "Classes" });
  const tools = h("div", { class: "bar-actions", role: "group", "aria-label": "Actions" });
  for (const one of actions) {
    tools.append(
      button({ label: one.label, icon: one.icon, key: one.key, edits: true, class: one.inside ? "inside" : "", run: () => one.run() }),
    );
  }
  const node = h("div", { class: "bar" }, h("div", { class: "bar-name", "data-edits": true }, target, field.node), classes, tools);

  const draw = () => {
    const chips = store.state.classes.slice(0, 9).map((one, i) =>
      h(
        "button",
        {
          type: "button",
          class: "class-key",
          title: `Name it ${one.name} (${i + 1})`,
          "data-edits": true,
          on: { click: () => name(one.name) },
        },
        kbd(String(i + 1)),
        h("span", {}, one.name),
        h("small", {}, count(one.count)),
      ),
    );
    classes.replaceChildren(...chips);
  };
  store.on("change", draw, signal);
  draw();

  return {
    node,
    type: (letter = "") => field.open(letter),
    about: (text) => {
      target.textContent = text;
    },
    bindings: [
      {
        keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"],
        text: "give the class with this number",
        edits: true,
        run: (event) => {
          const chosen = store.state.classes[Number(event.key) - 1];
          if (chosen) return name(chosen.name), true;
          toast(`No class has the number ${event.key} yet: type a name.`);
          return true;
        },
      },
      { keys: ["n"], text: "type a class name; letters without a key start it too", edits: true, run: () => field.open() },
      { keys: ["Backspace", "Delete"], text: "remove the class name", edits: true, run: () => name(null) },
      ...actions.map((one) => ({ keys: [one.key], text: one.text, edits: true, run: () => void one.run() })),
    ],
  };
}

/**
 * Send a command and show what it did.
 * @param {Context} context
 * @param {string} op
 * @param {Record<string, unknown>} args
 * @param {boolean} [loud] with a toast that offers to undo it
 * @returns {Promise<Answer | null>} null: refused, and the reason was shown
 */
export async function decide(context, op, args, loud = false) {
  try {
    const answer = await context.store.command(op, args);
    const text = answer.text ?? "";
    if (loud && text) {
      toast(text[0].toUpperCase() + text.slice(1), {
        action: "Undo",
        run: () => void context.store.undo().catch(toastError),
      });
    }
    context.say(text);
    return answer;
  } catch (error) {
    toastError(error);
    return null;
  }
}

/**
 * Thumbnails of the first images of a cluster.
 * @param {Context} context
 * @param {number[]} images
 * @param {number} most
 */
export function strip(context, images, most) {
  return h(
    "span",
    { class: "strip" },
    ...images.slice(0, most).map((image) => {
      const img = thumbnail();
      img.src = context.store.thumb(image);
      return img;
    }),
  );
}

/**
 * Choose one of the clusters that are nearest to some images.
 * @param {Context} context
 * @param {string} heading
 * @param {number[]} images
 * @param {{label: string, value: string}[]} more other choices
 * @param {boolean} outliers whether outliers can be chosen
 * @returns {Promise<Near | string | null>}
 */
export async function chooseNear(context, heading, images, more, outliers) {
  const { store } = context;
  /** @type {Near[]} */
  let rows = [];
  const list = h("ul", { class: "near" });
  const intro = h("p", { class: "quiet-text" });
  /** @type {string[]} */
  let values = [];
  /**
   * @param {string} value
   * @param {...import("./ui.js").Child} content
   */
  const row = (value, ...content) => {
    values.push(value);
    const key = values.length < 10 ? String(values.length) : "";
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: "near-row", on: { click: () => shown.close(value) } },
        key && kbd(key),
        ...content,
      ),
    );
  };
  /** @returns {Promise<boolean>} whether the server still compares */
  const fill = async () => {
    const answer = await nearest(store, images, outliers ? 8 : 60);
    const fitting = outliers ? answer.rows : answer.rows.filter((near) => near.cluster);
    rows = fitting.slice(0, Math.max(1, 9 - more.length));
    values = [];
    const items = rows.map((near, i) => {
      const members = near.cluster?.members ?? [near.image];
      const name = near.cluster ? title(near.cluster) : store.file(near.image);
      const facts = near.cluster ? plural(members.length, "image") : "outlier";
      return row(
        `near:${i}`,
        strip(context, members, 4),
        h("span", { class: "near-name" }, h("b", {}, name), h("small", {}, `${facts} · similarity ${similarity(near.similarity)}`)),
      );
    });
    for (const one of more) {
      items.push(row(`more:${one.value}`, h("span", { class: "near-name" }, h("b", {}, one.label))));
    }
    const inside = list.contains(document.activeElement);
    list.replaceChildren(...items);
    if (inside || document.activeElement?.closest(".dialog-head")) list.querySelector("button")?.focus();
    intro.hidden = rows.length > 0 && !answer.wait;
    intro.textContent = answer.wait ? "The images are being compared: the most similar clusters come soon." : "No other cluster is similar.";
    return answer.wait;
  };
  const ids = [...store.clusters.values()];
  const other = completion({
    label: "Another cluster: its name or number",
    items: () => ids.slice(0, 5000).map((cluster) => label(cluster)),
    pick: (value) => {
      const digits = /(\d+)$/.exec(value);
      const cluster =
        ids.find((one) => label(one) === value) ??
        (digits ? store.clusters.get(Number(digits[1])) : undefined) ??
        ids.find((one) => one.name === value);
      if (cluster) shown.close(`id:${cluster.id}`);
      else toast(`There is no cluster "${value}".`, { error: true });
    },
  });
  const shown = dialog(
    heading,
    h("div", { class: "choose" }, intro, list, other.node),
    [{ label: "Cancel", value: "" }],
  );
  const follow = async () => {
    try {
      while ((await fill()) && shown.node.open) await new Promise((again) => setTimeout(again, 700));
    } catch (error) {
      toastError(error);
    }
  };
  void follow();
  shown.node.addEventListener("keydown", (event) => {
    if (event.target instanceof HTMLInputElement) return;
    const buttons = [...list.querySelectorAll("button")];
    const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    if (/^[1-9]$/.test(event.key) && values[Number(event.key) - 1]) {
      shown.close(values[Number(event.key) - 1]);
    } else if (["ArrowDown", "j", "ArrowUp", "k"].includes(event.key)) {
      const step = event.key === "ArrowDown" || event.key === "j" ? 1 : -1;
      buttons[(at + step + buttons.length) % buttons.length]?.focus();
    } else return;
    event.preventDefault();
  });
  const value = await shown;
  const [kind, rest] = value.split(":");
  if (kind === "near") return rows[Number(rest)];
  if (kind === "more") return rest;
  const cluster = kind === "id" ? store.clusters.get(Number(rest)) : undefined;
  return cluster ? { cluster, image: cluster.members[0], similarity: 0 } : null;
}

/** @param {Cluster} cluster */
function label(cluster) {
  return cluster.name === null ? `Cluster ${cluster.id}` : `${cluster.name} · ${cluster.id}`;
}
