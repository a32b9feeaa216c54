/** The dialog of Apply: it shows the plan, then carries it out. */

import { notice, waiting } from "../tasks.js";
import { count, dialog, h, plural, toast, toastError } from "../ui.js";

/**
 * @typedef {object} Plan
 * @property {string[]} lines
 * @property {number} moves
 * @property {string[]} conflicts
 * @property {string} plan digest: what was shown is what is done
 * @property {number} rev revision of the review that is planned
 */

const MOST = 200;
let applying = false;

/**
 * Show the plan; resolves to whether it was carried out.
 * @param {import("../store.js").Store} store
 * @returns {Promise<boolean>}
 */
export async function openApply(store) {
  if (applying || document.querySelector("dialog[open]") || store.readOnly) return false;
  const body = h("div", { class: "plan" }, waiting("Planning…"));
  const answer = dialog("Apply the decisions", body, [
    { label: "Cancel", value: "" },
    { label: "Apply", value: "apply", primary: true },
  ]);
  const apply = /** @type {HTMLButtonElement} */ (answer.node.querySelector(".dialog-buttons .primary"));
  apply.disabled = true;
  /** @returns {Promise<Plan | null>} */
  const prepare = async () => {
    try {
      const plan = /** @type {Plan} */ (await store.post("plan", {}));
      // the event of the last command may still be on its way
      if (plan.rev > store.rev) await store.refresh();
      draw(body, plan, store);
      apply.disabled = plan.conflicts.length > 0;
      if (!apply.disabled) apply.focus();
      return plan;
    } catch (error) {
      body.replaceChildren(notice(error instanceof Error ? error.message : String(error)));
      return null;
    }
  };
  const prepared = prepare(); // the dialog can be closed before the plan is there
  if ((await answer) !== "apply") return false;
  const plan = await prepared;
  if (!plan) return false;
  applying = true;
  const closing = dialog("Applying…", waiting("Files are moved. The journal makes this safe to interrupt."), []);
  try {
    const done = await store.change("apply", { plan: plan.plan }, null);
    toast(done.text ?? "Applied.");
    return true;
  } catch (error) {
    toastError(error);
    return false;
  } finally {
    applying = false;
    closing.close("");
  }
}

/**
 * @param {HTMLElement} body
 * @param {Plan} plan
 * @param {import("../store.js").Store} store
 */
function draw(body, plan, store) {
  const more = plan.lines.length - MOST;
  const moves = plan.moves ? `${plural(plan.moves, "file")} will be moved in the result.` : "No file moves.";
  body.replaceChildren(
    h(
      "p",
      { class: "plan-lead" },
      h("strong", {}, plural(store.state.pending, "command")),
      ` since the last Apply. ${moves} Nothing is deleted. To return, undo the commands and apply again.`,
    ),
    ...plan.conflicts.map((line) => notice(line)),
    h(
      "ol",
      { class: "plan-lines", tabindex: 0, "aria-label": "Plan" },
      ...plan.lines.slice(0, MOST).map((line) => h("li", {}, line)),
      more > 0 && h("li", { class: "quiet-text" }, `… and ${count(more)} more`),
    ),
  );
}
