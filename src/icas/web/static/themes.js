/** The button that switches the theme: as the system, light, dark. theme.js applies it to the next load. */

import { button, icon } from "./ui.js";

const THEMES = /** @type {const} */ (["auto", "light", "dark"]);
const LOOKS = {
  auto: { icon: "auto", name: "as the system" },
  light: { icon: "sun", name: "light" },
  dark: { icon: "moon", name: "dark" },
};

/** @returns {"auto" | "light" | "dark"} */
function theme() {
  const set = document.documentElement.dataset.theme;
  return set === "light" || set === "dark" ? set : "auto";
}

/** @returns {HTMLButtonElement} */
export function themeButton() {
  const node = button({
    label: "Theme",
    icon: "auto",
    bare: true,
    quiet: true,
    run: () => {
      const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
      if (next === "auto") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = next;
      try {
        localStorage.setItem("icas-theme", next);
      } catch {
        // storage is blocked: the theme holds until the page closes
      }
      draw();
    },
  });
  const draw = () => {
    const look = LOOKS[theme()];
    node.replaceChildren(icon(look.icon));
    node.title = `Theme: ${look.name}`;
    node.setAttribute("aria-label", node.title);
  };
  draw();
  return node;
}
