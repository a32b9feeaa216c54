/** Virtual rows, grids and strips: only the cells in view exist, and their nodes are used again. */

/**
 * @typedef {object} Section
 * @property {number} count cells
 * @property {number} [head] height of the heading in pixels; 0 or missing: none
 *
 * @typedef {object} GridOptions
 * @property {string} label accessible name
 * @property {() => HTMLElement} create an empty cell
 * @property {(node: HTMLElement, index: number) => void} render fill a cell
 * @property {number} height of a cell, in pixels
 * @property {number} [width] least width of a cell; missing: one column
 * @property {boolean} [square] the height is added to the width that a cell gets
 * @property {number} [gap]
 * @property {number} [pad] room around the cells
 * @property {boolean} [sideways] one row that scrolls sideways; cells have the width `width` and the whole height
 * @property {(section: number) => HTMLElement} [head] heading of a section
 * @property {boolean} [many] several cells can be selected
 *
 * @typedef {object} Row cells beside each other; in a strip that scrolls sideways it is a column of one cell
 * @property {number} top distance from the start, along the direction of scrolling
 * @property {number} first index of the first cell, or the section of a heading
 * @property {number} count cells; -1 is a heading
 * @property {number} height along the direction of scrolling
 */

const OVERSCAN = 300;
const FAST = 4; // viewports a second: images wait until the scrolling slows down
let grids = 0;

/**
 * Set the image of a thumbnail unless it shows it already.
 * @param {HTMLImageElement} img
 * @param {string} url
 */
function showImage(img, url) {
  if (img.dataset.url === url) return;
  img.dataset.url = url;
  img.classList.remove("broken");
  if (url) img.src = url;
  else img.removeAttribute("src");
}

/** An image element for `VirtualGrid.image`. */
export function thumbnail() {
  const img = document.createElement("img");
  img.alt = "";
  img.draggable = false;
  img.decoding = "async";
  img.addEventListener("error", () => img.classList.add("broken"));
  return img;
}

export class VirtualGrid {
  /** @type {Map<number, HTMLElement>} */
  #cells = new Map();
  /** @type {Map<number, HTMLElement>} */
  #heads = new Map();
  /** @type {HTMLElement[]} */
  #pool = [];
  /** @type {Section[]} */
  #sections = [];
  /** @type {Row[]} */
  #rows = [];
  /** @type {Map<HTMLImageElement, string>} */
  #lazy = new Map();
  #columns = 1;
  #cellWidth = 0;
  #cellHeight = 1;
  #viewHeight = 0;
  #frame = 0;
  #flush = 0;
  #lastTop = 0;
  #lastTime = 0;
  #fast = false;
  #current = -1;
  #total = 0;
  #id = `grid${++grids}`;
  #observer;
  #abort = new AbortController();

  /**
   * @param {HTMLElement} scroller element that scrolls
   * @param {GridOptions} options
   */
  constructor(scroller, options) {
    this.scroller = scroller;
    this.options = options;
    this.sheet = document.createElement("div");
    this.sheet.className = "sheet";
    this.sheet.setAttribute("role", "presentation");
    scroller.classList.add("scroller");
    scroller.tabIndex = 0;
    scroller.setAttribute("role", "listbox");
    scroller.setAttribute("aria-label", options.label);
    if (options.many) scroller.setAttribute("aria-multiselectable", "true");
    scroller.replaceChildren(this.sheet);
    scroller.addEventListener("scroll", () => this.#scrolled(), {
      passive: true,
      signal: this.#abort.signal,
    });
    this.#observer = new ResizeObserver(() => this.#layout());
    this.#observer.observe(scroller);
  }

  get columns() {
    return this.#columns;
  }

  /** Number of cells. */
  get count() {
    return this.#total;
  }

  /** The cell that the keys act on; -1: none. */
  get current() {
    return this.#current;
  }

  /** @param {number} count */
  setCount(count) {
    this.setSections([{ count }]);
  }

  /** @param {Section[]} sections */
  setSections(sections) {
    this.#sections = sections;
    this.#total = sections.reduce((sum, section) => sum + section.count, 0);
    if (this.#current >= this.#total) this.#current = this.#total - 1;
    for (const head of this.#heads.values()) head.remove();
    this.#heads.clear();
    this.#layout();
  }

  /**
   * @param {number} width of a cell, at least
   * @param {number} height of a cell
   */
  setSize(width, height) {
    this.options.width = width;
    this.options.height = height;
    this.#layout();
  }

  #layout() {
    const { gap = 0, pad = 0, width, sideways } = this.options;
    const across = sideways ? this.scroller.clientHeight : this.scroller.clientWidth;
    const room = across - 2 * pad;
    this.#viewHeight = this.#extent;
    this.#rows = [];
    if (room <= 0) {
      this.refresh(); // hidden: no cells until it has a size
      return;
    }
    this.#columns = width && !sideways ? Math.max(1, Math.floor((room + gap) / (width + gap))) : 1;
    this.#cellWidth = Math.floor((room - gap * (this.#columns - 1)) / this.#columns);
    if (sideways) this.#cellHeight = width ?? room;
    else this.#cellHeight = this.options.square ? this.#cellWidth + this.options.height : this.options.height;
    let top = pad;
    let index = 0;
    this.#sections.forEach((section, number) => {
      if (section.head) {
        this.#rows.push({ top, first: number, count: -1, height: section.head });
        top += section.head;
      }
      for (let done = 0; done < section.count; done += this.#columns) {
        const count = Math.min(this.#columns, section.count - done);
        this.#rows.push({ top, first: index + done, count, height: this.#cellHeight });
        top += this.#cellHeight + gap;
      }
      index += section.count;
    });
    this.sheet.style[sideways ? "width" : "height"] = `${top + pad - (this.#rows.length ? gap : 0)}px`;
    this.refresh();
  }

  /** How far the view is scrolled. */
  get #offset() {
    return this.options.sideways ? this.scroller.scrollLeft : this.scroller.scrollTop;
  }

  set #offset(value) {
    if (this.options.sideways) this.scroller.scrollLeft = value;
    else this.scroller.scrollTop = value;
  }

  /** Size of the view along the direction of scrolling. */
  get #extent() {
    return this.options.sideways ? this.scroller.clientWidth : this.scroller.clientHeight;
  }

  /**
   * First row whose bottom is below `y`.
   * @param {number} y
   */
  #rowAt(y) {
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const row = this.#rows[middle];
      if (row.top + row.height < y) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #scrolled() {
    const now = performance.now();
    const top = this.#offset;
    const speed = Math.abs(top - this.#lastTop) / Math.max(now - this.#lastTime, 1);
    this.#fast = (speed * 1000) / Math.max(this.#extent, 1) > FAST;
    this.#lastTop = top;
    this.#lastTime = now;
    clearTimeout(this.#flush);
    this.#flush = setTimeout(() => {
      this.#fast = false;
      this.#load();
    }, 80);
    if (!this.#frame) {
      this.#frame = requestAnimationFrame(() => {
        this.#frame = 0;
        this.#draw(false);
      });
    }
  }

  #load() {
    for (const [img, url] of this.#lazy) showImage(img, url);
    this.#lazy.clear();
  }

  /**
   * Show a thumbnail in a cell; while the scrolling is fast it waits.
   * @param {HTMLImageElement} img
   * @param {string} url
   */
  image(img, url) {
    if (this.#fast && url && img.dataset.url !== url) {
      showImage(img, "");
      this.#lazy.set(img, url);
      return;
    }
    this.#lazy.delete(img);
    showImage(img, url);
  }

  /** Render every visible cell again. */
  refresh() {
    this.#draw(true);
  }

  /**
   * Render one cell again if it is in view.
   * @param {number} index
   */
  refreshCell(index) {
    const node = this.#cells.get(index);
    if (node) this.#fill(node, index);
  }

  /** @param {boolean} again */
  #draw(again) {
    const start = this.#offset;
    const extent = this.#extent;
    const { gap = 0, pad = 0, sideways } = this.options;
    const from = this.#rowAt(start - OVERSCAN);
    /** @type {Set<number>} */
    const cells = new Set();
    /** @type {Set<number>} */
    const heads = new Set();
    /** @type {Row[]} */
    const rows = [];
    for (let r = from; r < this.#rows.length; r++) {
      const row = this.#rows[r];
      if (row.top > start + extent + OVERSCAN) break;
      rows.push(row);
      if (row.count < 0) heads.add(row.first);
      else for (let i = 0; i < row.count; i++) cells.add(row.first + i);
    }
    for (const [index, node] of this.#cells) {
      if (cells.has(index)) continue;
      this.#cells.delete(index);
      this.#pool.push(node);
    }
    for (const [section, node] of this.#heads) {
      if (heads.has(section)) continue;
      node.remove();
      this.#heads.delete(section);
    }
    for (const row of rows) {
      if (row.count < 0) {
        let head = this.#heads.get(row.first);
        if (!head) {
          head = this.options.head?.(row.first) ?? document.createElement("div");
          head.classList.add("section-head");
          this.#heads.set(row.first, head);
          this.sheet.append(head);
        }
        head.style.transform = `translate(${pad}px, ${row.top}px)`;
        head.style.height = `${row.height}px`;
        head.style.width = `${this.scroller.clientWidth - 2 * pad}px`;
        continue;
      }
      for (let i = 0; i < row.count; i++) {
        const index = row.first + i;
        let node = this.#cells.get(index);
        const old = node !== undefined;
        if (!node) {
          node = this.#pool.pop() ?? this.#create();
          this.#cells.set(index, node);
        }
        if (!old || again) {
          const left = pad + i * (this.#cellWidth + gap);
          node.style.transform = sideways ? `translate(${row.top}px, ${left}px)` : `translate(${left}px, ${row.top}px)`;
          node.style.width = `${sideways ? row.height : this.#cellWidth}px`;
          node.style.height = `${sideways ? this.#cellWidth : row.height}px`;
          node.hidden = false;
          this.#fill(node, index);
        }
      }
    }
    for (const node of this.#pool) node.hidden = true;
    while (this.#pool.length > 60) this.#pool.pop()?.remove();
  }

  #create() {
    const node = this.options.create();
    node.classList.add("cell");
    node.setAttribute("role", "option");
    this.sheet.append(node);
    return node;
  }

  /**
   * @param {HTMLElement} node
   * @param {number} index
   */
  #fill(node, index) {
    node.id = `${this.#id}-${index}`;
    node.dataset.index = String(index);
    node.setAttribute("aria-setsize", String(this.#total));
    node.setAttribute("aria-posinset", String(index + 1));
    node.classList.toggle("current", index === this.#current);
    this.options.render(node, index);
    if (index === this.#current) this.scroller.setAttribute("aria-activedescendant", node.id);
  }

  /**
   * Make a cell the current one and bring it into view.
   * @param {number} index
   * @param {boolean} [scroll]
   */
  setCurrent(index, scroll = true) {
    const before = this.#current;
    this.#current = Math.max(-1, Math.min(index, this.#total - 1));
    if (scroll && this.#current >= 0) this.reveal(this.#current);
    this.refreshCell(before);
    this.refreshCell(this.#current);
    if (this.#current < 0) this.scroller.removeAttribute("aria-activedescendant");
  }

  /** @param {number} index */
  #place(index) {
    let low = 0;
    let high = this.#rows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#firstIndex(middle) <= index) low = middle;
      else high = middle - 1;
    }
    return this.#rows[low];
  }

  /** @param {number} r row */
  #firstIndex(r) {
    for (let i = r; i < this.#rows.length; i++) {
      if (this.#rows[i].count >= 0) return this.#rows[i].first;
    }
    return this.#total;
  }

  /**
   * Scroll so that a cell is in view.
   * @param {number} index
   * @param {boolean} [middle] in the middle of the view, so that its neighbours are seen too
   */
  reveal(index, middle = false) {
    if (!this.#rows.length) return;
    const row = this.#place(index);
    const start = this.#offset;
    const extent = this.#extent;
    const pad = (this.options.pad ?? 0) + 2;
    let next = start;
    if (middle) next = row.top + row.height / 2 - extent / 2;
    else if (row.top - pad < start) next = row.top - pad;
    else if (row.top + row.height + pad > start + extent) {
      next = row.top + row.height + pad - extent;
    }
    if (next === start) return;
    this.#offset = next;
    // drawn at once: the key that moved is answered in the same frame
    this.#lastTop = this.#offset;
    this.#lastTime = performance.now();
    this.#draw(false);
  }

  /**
   * The cell that lies a number of columns or rows away.
   * @param {number} index
   * @param {number} across
   * @param {number} down
   */
  step(index, across, down) {
    if (this.#total === 0) return -1;
    if (index < 0) return 0;
    if (!down) return Math.max(0, Math.min(this.#total - 1, index + across));
    const rows = this.#rows.filter((row) => row.count >= 0);
    let low = 0;
    let high = rows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (rows[middle].first <= index) low = middle;
      else high = middle - 1;
    }
    const column = index - rows[low].first;
    const target = rows[Math.max(0, Math.min(rows.length - 1, low + down))];
    return target.first + Math.min(column, target.count - 1);
  }

  /** Rows that fit into the view. */
  get page() {
    const { gap = 0 } = this.options;
    return Math.max(1, Math.floor(this.#viewHeight / (this.#cellHeight + gap)));
  }

  /**
   * The index of the cell that an event hit, or -1.
   * @param {Event} event
   */
  indexOf(event) {
    const target = event.target instanceof Element ? event.target.closest(".cell") : null;
    return target instanceof HTMLElement && this.sheet.contains(target)
      ? Number(target.dataset.index)
      : -1;
  }

  /**
   * The node of a cell in view.
   * @param {number} index
   */
  node(index) {
    return this.#cells.get(index);
  }

  /**
   * Cells that touch a rectangle of the sheet.
   * @param {{left: number, top: number, right: number, bottom: number}} box
   * @returns {number[]}
   */
  within(box) {
    const { gap = 0, pad = 0 } = this.options;
    const hits = [];
    for (let r = this.#rowAt(box.top); r < this.#rows.length; r++) {
      const row = this.#rows[r];
      if (row.top > box.bottom) break;
      for (let i = 0; i < row.count; i++) {
        const left = pad + i * (this.#cellWidth + gap);
        if (left <= box.right && left + this.#cellWidth >= box.left) hits.push(row.first + i);
      }
    }
    return hits;
  }

  destroy() {
    this.#abort.abort();
    this.#observer.disconnect();
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#flush);
    this.#cells.clear();
    this.#pool = [];
    this.sheet.remove();
  }
}
