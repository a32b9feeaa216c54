/** Name: images in the order that settles most others; names spread to the rest meanwhile. */

import { empty, homeChip, photo, segmented, thumb, waiting } from "../tasks.js";
import { button, completion, count, h, kbd, plural, toast, toastError } from "../ui.js";

/**
 * @typedef {object} Naming
 * @property {number[]} order images to name next
 * @property {number[]} unsure the least sure first
 * @property {Record<string, [name: string, confidence: number]>} spread by image
 * @property {boolean} wait the images are still being compared
 * @property {number} progress of that, 0 to 1
 * @property {boolean} [stale] names are being spread again: `spread` is of earlier names
 */

const SHOWN = 60;
/** Confidence from which Enter takes the proposed class. */
const LIKELY = 0.5;

/** @type {import("../types.js").Screen} */
export const nameScreen = {
  id: "name",
  title: "Name",
  key: "n",
  icon: "name",
  mount(root, context) {
    const { store, keys, signal, say } = context;
    /** @type {Naming | null} */
    let naming = null;
    /** @type {Map<number, [string, number]>} */
    let proposed = new Map();
    /** @type {"next" | "unsure"} */
    let queue = "next";
    /** @type {number[]} */
    let back = [];
    let current = -1;
    let least = 0.9;
    let later = 0;
    let loading = false;
    let again = false;
    /** @type {Set<number>} */
    const skipped = new Set();

    const large = photo(store, signal);
    const proposal = h("div", { class: "proposal" });
    const field = completion({
      label: "Class",
      placeholder: "Type a class",
      items: () => store.classNames,
      pick: (name) => void give(name, true),
      up: true,
      late: true,
    });
    const chips = h("div", { class: "name-keys" });
    const effect = h("div", { class: "quiet-text name-effect" });
    /** Whether the name is for the image only, though its cluster could have it. */
    let narrow = false;
    const side = h("aside", { class: "name-side", "aria-label": "Names spread to other images" });
    const grid = h("ul", { class: "unsure-grid" });
    const sideFacts = h("p", { class: "spread-facts" });
    const slider = h("input", { type: "range", min: 0, max: 20, step: 1, value: String(least * 20), "aria-label": "Least confidence of the names to keep" });
    const keep = button({ label: "Keep names", icon: "check", edits: true, run: () => void keepNames() });
    const classes = h("ul", { class: "class-list" });
    const which = segmented(
      "Queue",
      [{ value: "next", text: "Most informative" }, { value: "unsure", text: "Unsure" }],
      queue,
      (next) => {
        queue = next;
        which.set(next);
        advance();
      },
    );
    const body = h("div", { class: "name-body" });
    root.append(
      h("header", { class: "screen-head task-head" }, h("h1", {}, "Name"), which.node),
      body,
    );
    body.append(waiting("Comparing the images…"));

    const cluster = () => store.clusterOf(current);
    /** The class that Enter takes. */
    const guessed = () => {
      const guess = proposed.get(current);
      return guess && guess[1] >= LIKELY ? guess : null;
    };
    /** Whether Enter names the whole cluster: it has no name and no doubt. */
    const whole = () => {
      const one = cluster();
      return one && one.name === null && one.state !== "doubtful" ? one : null;
    };

    const advance = () => {
      if (!naming) return;
      const list = (queue === "unsure" && naming.unsure.length ? naming.unsure : naming.order).filter(
        (image) => !skipped.has(image),
      );
      const rest = list.length ? list : naming.unsure.filter((image) => !skipped.has(image));
      show(rest.length ? rest[0] : -1);
      // the images after it, so that they are there at once
      void large.ready().then(() => {
        if (current !== rest[0]) return;
        for (const image of rest.slice(1, 3)) new Image().src = store.full(image);
      });
    };

    /** @param {number} image */
    const show = (image) => {
      if (image !== current) narrow = false;
      current = image;
      if (image < 0) {
        const done = empty(
          "Every image has a name.",
          skipped.size ? `${plural(skipped.size, "image")} skipped.` : "Look through the clusters, or export.",
          button({ label: "Export", icon: "export", primary: true, run: () => context.go("export") }),
        );
        body.replaceChildren(done, side);
        return;
      }
      if (!stage.isConnected) body.replaceChildren(stage, side);
      large.show(image);
      large.note.replaceChildren(homeChip(store, image));
      const guess = guessed();
      proposal.replaceChildren();
      if (guess) {
        proposal.append(
          button({ label: `${guess[0]}, ${Math.round(100 * guess[1])} % sure`, icon: "check", key: "Enter", edits: true, class: "accept", run: () => void give(guess[0], true) }),
        );
      }
      drawScope();
      drawChips();
    };

    const drawScope = () => {
      const all = whole();
      if (!all) {
        effect.replaceChildren("The name is for this image.");
        return;
      }
      const scope = segmented(
        "What is named",
        [{ value: "cluster", text: `The cluster of ${plural(all.members.length, "image")}` }, { value: "image", text: "This image only" }],
        narrow ? "image" : "cluster",
        (next) => {
          narrow = next === "image";
          scope.set(next);
          field.input.focus();
        },
      );
      effect.replaceChildren(scope.node, h("span", { class: "head-note" }, kbd("Ctrl"), kbd("Enter"), " this image only"));
    };

    const drawChips = () => {
      chips.replaceChildren(
        ...store.classNames.slice(0, 9).map((name, i) =>
          button({ label: name, key: String(i + 1), edits: true, class: "name-key", run: () => void give(name, true) }),
        ),
      );
    };

    const drawSide = () => {
      if (!naming) return;
      if (!proposed.size) {
        side.replaceChildren(
          h("h2", {}, "Names spread from here"),
          h("p", { class: "quiet-text" }, "Name the first image. Its name spreads to similar images at once, each with a confidence."),
        );
        return;
      }
      drawSure();
      grid.replaceChildren(
        ...naming.unsure.slice(0, SHOWN).map((image) => {
          const [name, confidence] = proposed.get(image) ?? ["", 0];
          const percent = Math.round(100 * confidence);
          return h(
            "li",
            {},
            h(
              "button",
              {
                type: "button",
                class: "unsure-cell",
                title: `${store.file(image)}: ${name}, ${percent} %`,
                on: {
                  click: () => {
                    back.push(current);
                    show(image);
                    field.input.focus();
                  },
                },
              },
              thumb(store, image),
              h("span", { class: "unsure-name" }, h("span", {}, name), h("span", { class: percent < 60 ? "low" : "" }, `${percent} %`)),
            ),
          );
        }),
      );
      if (!grid.isConnected) {
        side.replaceChildren(
          h("h2", {}, "Classes"),
          classes,
          h("h2", {}, "Names by similarity"),
          sideFacts,
          h("div", { class: "keep-row" }, slider, keep),
          h("h2", {}, "Least sure"),
          grid,
        );
      }
    };

    const drawSure = () => {
      const named = new Map(store.state.classes.map((one) => [one.name, one.count]));
      /** @type {Map<string, number>} */
      const more = new Map();
      for (const [name, confidence] of proposed.values()) {
        if (confidence >= least) more.set(name, (more.get(name) ?? 0) + 1);
      }
      const rows = [...new Set([...store.classNames, ...more.keys()])].map((name) => ({
        name,
        own: named.get(name) ?? 0,
        more: more.get(name) ?? 0,
      }));
      const most = Math.max(1, ...rows.map((row) => row.own + row.more));
      classes.replaceChildren(
        ...rows.map((row) =>
          h(
            "li",
            { class: "class-row" },
            h("span", { class: "class-name", title: row.name }, row.name),
            h(
              "span",
              { class: "class-bar", "aria-hidden": "true" },
              h("span", { class: "own", style: { width: `${(100 * row.own) / most}%` } }),
              h("span", { class: "more", style: { width: `${(100 * row.more) / most}%` } }),
            ),
            h("span", { class: "class-count" }, count(row.own), h("span", { class: "quiet-text" }, row.more ? ` + ${count(row.more)}` : "")),
          ),
        ),
      );
      const total = proposed.size;
      let sure = 0;
      for (const [, confidence] of proposed.values()) if (confidence >= least) sure += 1;
      sideFacts.replaceChildren(
        h("strong", {}, count(sure)),
        ` of ${plural(total, "image")} at ${Math.round(100 * least)} % sure or more`,
      );
      slider.setAttribute("aria-valuetext", `${Math.round(100 * least)} %`);
      keep.disabled = sure === 0;
    };

    const load = async () => {
      if (loading) {
        again = true;
        return;
      }
      loading = true;
      try {
        do {
          again = false;
          naming = /** @type {Naming} */ (await store.get(`naming?count=${SHOWN}`, signal));
          if (naming.stale) {
            // the names that are spread now come when they are ready
            clearTimeout(later);
            later = setTimeout(() => void (signal.aborted || load()), 700);
          }
          if (naming.wait) {
            const percent = Math.round(100 * naming.progress);
            body.replaceChildren(waiting(`Comparing the images… ${percent} %`));
            await new Promise((resolve) => setTimeout(resolve, 500));
            if (signal.aborted) return;
            again = true;
          }
        } while (again);
        proposed = new Map(Object.entries(naming.spread).map(([image, guess]) => [Number(image), guess]));
        drawSide();
        const label = store.labels.get(current);
        const named = (label && label[1] !== "spread") || cluster()?.name;
        if (current < 0 || named || store.state.rejected.includes(current)) advance();
        else show(current);
      } catch (error) {
        if (!signal.aborted) {
          body.replaceChildren(empty("Names cannot be suggested for this result.", error instanceof Error ? error.message : String(error)));
        }
      } finally {
        loading = false;
      }
    };

    /**
     * @param {string} name
     * @param {boolean} wide name the cluster where that is the proposal
     */
    const give = async (name, wide) => {
      const image = current;
      if (image < 0) return;
      const all = wide && !narrow ? whole() : null;
      const named = all ? all.members : [image];
      back.push(image);
      for (const one of named) skipped.add(one);
      advance();
      field.input.focus();
      try {
        if (all) await store.command("name", { cluster: all.id, name });
        else await store.command("label", { images: [image], name });
        say(`${name}. Next image.`);
      } catch (error) {
        toastError(error);
      } finally {
        for (const one of named) skipped.delete(one);
      }
    };

    const keepNames = async () => {
      try {
        const answer = await store.command("spread", { least });
        toast(answer.text ?? "Names kept.", { action: "Undo", run: () => void store.undo().catch(toastError) });
      } catch (error) {
        toastError(error);
      }
    };

    const skip = () => {
      if (current < 0) return;
      back.push(current);
      skipped.add(current);
      advance();
    };
    const previous = () => {
      const image = back.pop();
      if (image === undefined || image < 0) return;
      skipped.delete(image);
      show(image);
    };

    slider.addEventListener("input", () => {
      least = Number(slider.value) / 20;
      drawSure();
    });
    // in the empty field digits and arrows are keys of the screen
    field.node.addEventListener(
      "keydown",
      (event) => {
        const { key } = event;
        const typed = field.input.value.trim();
        if ((event.ctrlKey || event.metaKey) && key === "Enter" && typed) {
          field.input.value = "";
          field.close();
          void give(typed, false);
        } else if (typed || event.isComposing) return;
        else if (/^[1-9]$/.test(key) && store.classNames[Number(key) - 1]) void give(store.classNames[Number(key) - 1], true);
        else if (key === "Enter" && guessed()) void give(guessed()?.[0] ?? "", !(event.ctrlKey || event.metaKey));
        else if (key === "ArrowRight") skip();
        else if (key === "ArrowLeft") previous();
        else if ((event.ctrlKey || event.metaKey) && key === "z") void store.undo().catch(toastError);
        else if ((event.ctrlKey || event.metaKey) && key === "y") void store.redo().catch(toastError);
        else return;
        event.preventDefault();
        event.stopPropagation();
      },
      true,
    );
    const stage = h(
      "div",
      { class: "name-stage" },
      large.node,
      h("div", { class: "name-form" }, proposal, chips, h("div", { class: "name-field" }, field.node, button({ label: "Skip", key: "→", run: skip })), effect),
    );

    const digits = Array.from({ length: 9 }, (_, i) => String(i + 1));
    keys.bind(
      "Name",
      [
        {
          keys: ["Enter"],
          text: "take the class that is proposed, or type one",
          edits: true,
          run: () => {
            const guess = guessed();
            if (guess) void give(guess[0], true);
            else field.input.focus();
          },
        },
        { keys: digits, text: "give the class with this number", edits: true, run: (event) => {
          const name = store.classNames[Number(event.key) - 1];
          if (name) void give(name, true);
        } },
        { keys: ["ArrowRight", "l"], text: "skip this image", run: skip },
        { keys: ["ArrowLeft", "h"], text: "back to the image before", run: previous },
        { keys: ["Tab"], text: "switch between informative and unsure images", run: () => {
          queue = queue === "next" ? "unsure" : "next";
          which.set(queue);
          advance();
        } },
      ],
      (letter) => field.open(letter),
    );
    store.on("change", () => void load(), signal);
    store.on("images", () => show(current), signal);
    void load().then(() => {
      if (!signal.aborted && matchMedia("(pointer: fine)").matches) field.input.focus({ preventScroll: true });
    });
  },
};
