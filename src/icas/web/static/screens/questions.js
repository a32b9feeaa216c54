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
 * @property {boolean} wait the images are still being compared: better questions come
 * @property {number} [progress] of that, 0 to 1
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
    /** @type {Question | null} the one after it */
    let ahead = null;
    let busy = false;
    let sending = 0;

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

    /** @param {Question} from */
    const drawProgress = (from) => {
      const percent = Math.floor(100 * from.settled);
      settled.textContent = `${percent} %`;
      fill.style.width = `${percent}%`;
      meter.setAttribute("aria-valuenow", String(percent));
      facts.textContent = `${plural(from.answered, "answer")} · about ${count(from.left)} left`;
    };

    const draw = () => {
      if (!question) return;
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
      const links = plural(question.settles, "link");
      effect.textContent = question.together
        ? `They are in one cluster now. “Different” splits it. The answer settles ${links}.`
        : `They are apart now. “Same” merges them. The answer settles ${links}.`;
      const most = innerWidth < 640 ? 4 : 7;
      groups.hidden = question.first.length + question.second.length <= 2;
      groups.replaceChildren(strip(store, question.first, most), strip(store, question.second, most));
      if (!stage.isConnected) body.replaceChildren(stage, groups, effect, buttons);
    };

    /** @param {Question} one */
    const pair = (one) => (one.a === null || one.b === null ? "" : `${Math.min(one.a, one.b)}-${Math.max(one.a, one.b)}`);

    /** Load the question after this one, and its images, while the person looks. */
    const lookAhead = async () => {
      const shown = question;
      ahead = null;
      if (!shown || shown.done) return;
      try {
        const next = /** @type {Question} */ (await store.get(`questions/next?skip=${pair(shown)}`, signal));
        if (shown !== question) return;
        ahead = next;
        drawProgress(next);
        await Promise.all([left.ready(), right.ready()]);
        if (ahead !== next) return;
        for (const image of [next.a, next.b]) if (image !== null) new Image().src = store.full(image);
      } catch {
        // the next question is then loaded after the answer
      }
    };

    const load = async () => {
      try {
        question = /** @type {Question} */ (await store.get("questions/next", signal));
        if (question.done && question.wait) {
          body.replaceChildren(waiting(`Comparing the images… ${Math.round(100 * (question.progress ?? 0))} %`));
          setTimeout(() => void (signal.aborted || load()), 500);
          return;
        }
        drawProgress(question);
        draw();
        void lookAhead();
      } catch (error) {
        if (signal.aborted) return;
        body.replaceChildren(empty("No questions for this result.", error instanceof Error ? error.message : String(error)));
      }
    };

    /**
     * Whether the question that was loaded ahead is still right after an answer to this one.
     * @param {Question} one
     * @param {Question} next
     */
    const holds = (one, next) => {
      const homes = (/** @type {Question} */ of) =>
        [of.a, of.b].map((image) => (image === null ? image : store.clusterOf(image)?.id ?? `image ${image}`));
      const touched = new Set(homes(one));
      return !next.done && !homes(next).some((home) => touched.has(home));
    };

    /** @param {boolean | null} same */
    const answer = async (same) => {
      if (busy || !question || question.a === null || question.b === null || question.done) return;
      const asked = question;
      const { a, b } = question;
      const word = same === null ? "unsure" : same ? "same" : "different";
      say(`${word}. Next pair.`);
      flash(word);
      const next = ahead;
      ahead = null;
      sending += 1;
      busy = !next || next.done || (same !== null && !holds(asked, next));
      if (next && !busy) {
        question = next;
        draw();
      }
      try {
        await store.command("answer", { a, b, same });
        sending -= 1;
        if (busy) await load();
        else if (!sending) void lookAhead();
      } catch (error) {
        sending -= 1;
        toastError(error);
        await load();
      } finally {
        if (!sending) busy = false;
      }
    };

    let flashing = 0;
    /** @param {string} word */
    const flash = (word) => {
      stage.dataset.answer = word;
      clearTimeout(flashing);
      flashing = setTimeout(() => delete stage.dataset.answer, 180);
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
        if (!sending) void load();
      },
      signal,
    );
    store.on("images", draw, signal);
    void load();
  },
};
