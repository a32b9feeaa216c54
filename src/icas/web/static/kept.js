/** What the person looks at; kept when the page is loaded again, in this tab only. */

/**
 * @template {object} T
 * @param {string} place name in the storage of the tab
 * @param {T} defaults
 * @returns {{value: T, keep: () => void}} change `value`, then call `keep`
 */
export function kept(place, defaults) {
  const value = { ...defaults };
  try {
    Object.assign(value, JSON.parse(sessionStorage.getItem(place) ?? "{}"));
  } catch {
    // storage is blocked or damaged: the defaults hold
  }
  let waiting = 0;
  const write = () => {
    clearTimeout(waiting);
    waiting = 0;
    try {
      sessionStorage.setItem(place, JSON.stringify(value));
    } catch {
      // storage is blocked: the values hold until the page closes
    }
  };
  addEventListener("pagehide", write);
  return {
    value,
    keep() {
      if (!waiting) waiting = setTimeout(write, 200);
    },
  };
}
