/** Questions: do two images belong together? One pair at a time. */

import { empty, homeChip, photo, strip, waiting } from "../tasks.js";
import { button, count, h, plural, toastError } from "../ui.js";

/**
 * @typedef {object} Question
 * @property {number | null} a
 * @property {number | null} b
 * @property {number} p probability of "same"
 * @property {boolean} together whether both are in one cluster now
 * @property {number[]} first images of the group of `a`
 * @property {number[]} second images of the group of `b`
 * @property {number} settles pairs that the answer settles
 * @property {number} answered
 * @property {number} left questions whose answer may correct something
 * @property {number} settled 0 to 1
 * @property {boolean} done
 */

/** @type {import("../types.js").Screen} */
export const questions = {
  id: "questions",
  title: "Questions",
  key: "q",
  icon: "questions",
  mount(root, context) {
    const { store, keys, signal, say } = context;
    /** @type {Question | null} */
    let question = null;
    let busy = false;
    let asked = -2;

    const left = photo(store, signal);
    const right = photo(store, signal);
    const effect = h("p", { class: "ask-effect" });
    const groups = h("div", { class: "ask-groups" });
    const fill = h("span", { class: "ask-fill" });
    const meter = h(
      "div",
      { class: "ask-meter", role: "progressbar", "aria-label": "Settled", "aria-valuemin": 0, "aria-valuemax": 100 },
      fill,
    );
    const settled = h("strong", {});
    const facts = h("span", { class: "quiet-text" });
    const body = h("div", { class: "ask-body" });
    const stage = h("div", { class: "ask-pair" }, left.node, h("div", { class: "ask-mid", "aria-hidden": "true" }, "?"), right.node);
    const buttons = h(
      "div",
      { class: "ask-buttons", role: "group", "aria-label": "Answer" },
      button({ label: "Different", icon: "cross", key: "n", edits: true, class: "answer no", run: () => void answer(false) }),
      button({ label: "Unsure", icon: "questions", key: "?", edits: true, class: "answer unsure", run: () => void answer(null) }),
      button({ label: "Same", icon: "check", key: "y", edits: true, class: "answer yes", run: () => void answer(true) }),
    );
    root.append(
      h(
        "header",
        { class: "screen-head task-head" },
        h("h1", {}, "Do these belong together?"),
        h("div", { class: "ask-progress" }, h("span", { class: "ask-settled" }, settled, " settled"), meter, facts),
      ),
      body,
    );
    body.append(waiting("Comparing the images…"));

    const draw = () => {
      if (!question) return;
      const percent = Math.floor(100 * question.settled);
      settled.textContent = `${percent} %`;
      fill.style.width = `${percent}%`;
      meter.setAttribute("aria-valuenow", String(percent));
      facts.textContent = `${plural(question.answered, "answer")} · about ${count(question.left)} left`;
      if (question.done || question.a === null || question.b === null) {
        const go = button({ label: "Look through the clusters", primary: true, run: () => context.go("clusters") });
        body.replaceChildren(empty("Nothing is left to ask.", "Every pair of groups that may be wrong has an answer.", go));
        say("Nothing is left to ask.");
        return;
      }
      left.show(question.a);
      right.show(question.b);
      left.note.replaceChildren(homeChip(store, question.a));
      right.note.replaceChildren(homeChip(store, question.b));
      const pairs = `${plural(question.settles, "link")}`;
      effect.textContent = question.together
        ? `They are in one cluster now. “Different” splits it. The answer settles ${pairs}.`
        : `They are apart now. “Same” merges them. The answer settles ${pairs}.`;
      const most = innerWidth < 640 ? 4 : 7;
      const both = question.first.length + question.second.length > 2;
      groups.hidden = !both;
      groups.replaceChildren(strip(store, question.first, most), strip(store, question.second, most));
      if (!stage.isConnected) body.replaceChildren(stage, groups, effect, buttons);
    };

    const load = async () => {
      try {
        question = await store.get("questions/next", signal);
        asked = store.rev;
        draw();
      } catch (error) {
        if (signal.aborted) return;
        body.replaceChildren(empty("No questions for this result.", error instanceof Error ? error.message : String(error)));
      }
    };

    /** @param {boolean | null} same */
    const answer = async (same) => {
      if (busy || !question || question.a === null || question.b === null || question.done) return;
      busy = true;
      const { a, b } = question;
      const word = same === null ? "unsure" : same ? "same" : "different";
      stage.dataset.answer = word;
      say(`${word}. Next pair.`);
      try {
        await store.command("answer", { a, b, same });
        await load();
      } catch (error) {
        toastError(error);
        await load();
      } finally {
        busy = false;
        delete stage.dataset.answer;
      }
    };

    keys.bind("Questions", [
      { keys: ["y"], text: "same: merge, or keep together", edits: true, run: () => void answer(true) },
      { keys: ["n"], text: "different: keep apart, or split", edits: true, run: () => void answer(false) },
      { keys: ["?", "u"], text: "unsure: do not ask again", edits: true, run: () => void answer(null) },
      {
        keys: ["Enter"],
        text: "compare the two images",
        run: () => {
          if (question && question.a !== null) context.go(`compare/${question.a},${question.b}`);
        },
      },
    ]);
    store.on(
      "change",
      () => {
        if (!busy && asked !== store.rev) void load();
      },
      signal,
    );
    store.on("images", draw, signal);
    void load();
  },
};
