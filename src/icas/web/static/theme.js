// A classic script: it sets the theme before the first paint.
"use strict";
{
  let theme = null;
  try {
    theme = localStorage.getItem("icas-theme");
  } catch {
    // storage is blocked: the system setting applies
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
