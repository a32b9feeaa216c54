/** The state of painting in this page: files, classes, documents, commands and the connection. */

import { Connection, newId, pause, Refused } from "../connection.js";
import { kept } from "../kept.js";
import { labelsOf } from "./codec.js";
import { classOf, codeOf, decoded, numberOf, PageDocument } from "./document.js";
import { imageSource } from "./images.js";

/** @typedef {import("./types.js").PaintState} PaintState */
/** @typedef {import("./types.js").PaintClass} PaintClass */
/** @typedef {import("./types.js").DocInfo} DocInfo */
/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").Mark} Mark */
/** @typedef {import("./types.js").Box} Box */
/** @typedef {import("./document.js").LocalChange} LocalChange */
/** @typedef {import("./images.js").ImageSource} ImageSource */

/**
 * @typedef {object} Loaded an image that is open in the page
 * @property {number} n
 * @property {PageDocument} doc
 * @property {ImageSource} source
 *
 * @typedef {object} Pending a command whose effect is shown before the server confirms it
 * @property {number} n
 * @property {LocalChange} local
 */

/** Images that stay open in the page: the current one and its neighbours. */
const KEPT = 3;
const PAGE = 5000;
const WAIT = 200;

/**
 * Events: `state`, `files`, `image`, `opening`, `doc`, `change`, `objects`, `select`, `view`, `busy`,
 * `connection`, `tap-space`.
 */
export class PaintStore extends Connection {
  /** @type {PaintState | null} */
  #state = null;
  /** @type {string[]} */
  files = [];
  /** @type {Mark[]} */
  marks = [];
  current = -1;
  /** Codes of objects that are not drawn; call `viewer.restyle` after a change. */
  hiddenObjects = /** @type {Set<number>} */ (new Set());
  /** Whether an object was picked, to which all clicks add. */
  continued = false;
  /** @type {Loaded | null} */
  #shown = null;
  /** @type {Map<number, Promise<Loaded>>} */
  #open = new Map();
  /** @type {Pending[]} */
  #pending = [];
  /** Number of the object that new paint gets, by image and class. */
  #objects = new Map();
  /** @type {AbortController | null} */
  #opening = null;
  #direction = 1;
  /** @type {number | null} carried images that wait, by the last event */
  #queue = null;
  #worker = new Boxes();
  /** @type {Promise<void> | null} */
  #refreshing = null;
  #kept = kept("icas-paint", {
    image: -1,
    class: 0,
    tool: "fill",
    opacity: 0.5,
    borders: true,
    smooth: true,
    radius: 12,
    /** @type {[number, number, number, number] | null} image, scale, row and column in the middle */
    zoom: null,
  });

  /** What the person chose; call `keepView` after a change. */
  get view() {
    return this.#kept.value;
  }

  /** @param {string} [what] */
  keepView(what) {
    this.#kept.keep();
    if (what) this.emit("view", what);
  }

  get state() {
    if (!this.#state) throw new Error("the state is not loaded");
    return this.#state;
  }

  get loaded() {
    return this.#state !== null;
  }

  get rev() {
    return this.#state ? this.#state.rev : -1;
  }

  get readOnly() {
    return this.#state ? this.#state.read_only : true;
  }

  /** The document that is shown, or null while it is opened. */
  get doc() {
    return this.#shown?.doc ?? null;
  }

  /** The image that is shown, or null while it is opened. */
  get source() {
    return this.#shown?.source ?? null;
  }

  // --- state

  /** Load the state and the first image, then listen for changes. */
  async start() {
    this.listen(["state", "doc", "files", "embedding", "carrying", "queue", "message"]);
    await this.#load();
    void this.complete().catch(() => undefined); // the strip shows numbers in place of names
    const { image } = this.view;
    const first = image >= 0 && image < this.state.images ? image : 0;
    if (this.state.images) await this.open(first);
  }

  async #load() {
    const state = await this.persist(() => this.get(`state?tab=${this.tab}`), true);
    this.#state = state;
    state.queue ??= this.#queue; // its event may come before the state, which was written earlier
    this.latest = Math.max(this.latest, state.rev);
    if (!this.classOf(this.view.class)) this.view.class = state.classes[0]?.number ?? 0;
    this.emit("state");
    this.emit("select");
  }

  /** Load the state with a request that starts now or soon, and the document if it changed. */
  async refresh() {
    this.#refreshing ??= this.#load().finally(() => {
      this.#refreshing = null;
    });
    await this.#refreshing;
    await this.#check();
  }

  /** Load the names of the files, in pages. */
  async complete() {
    for (let from = this.files.length; from < this.state.images; from += PAGE) {
      const page = await this.persist(() => this.get(`files?from=${from}&count=${PAGE}`));
      page.files.forEach((/** @type {string} */ file, /** @type {number} */ i) => {
        this.files[from + i] = file;
        this.marks[from + i] = page.marks[i] ?? "";
      });
      this.emit("files", null);
    }
  }

  /**
   * @param {string} type
   * @param {any} data
   */
  received(type, data) {
    if (type === "files") {
      const changed = Object.keys(data.marks ?? {}).map(Number);
      for (const n of changed) this.marks[n] = data.marks[n];
      this.emit("files", changed);
    } else if (type === "state") {
      this.heard(Number(data.rev));
    } else if (type === "doc") {
      // -1: the image was opened again, so that its revisions count from the beginning
      if (this.waiting === 0) void this.#check(Number(data.n), data.doc_rev === -1).catch(() => undefined);
    } else {
      if (type === "queue") this.#queue = data.waiting;
      if (type === "queue" && this.#state) {
        this.#state.queue = data.waiting;
        this.emit("state");
      }
      this.emit(type, data);
    }
  }

  // --- classes

  /** @returns {PaintClass[]} */
  get classes() {
    const all = this.#state?.classes ?? [];
    const own = this.doc?.info.palette;
    // an image may have classes of its own after those of all images
    return own && own.length > all.length ? [...all, ...own.slice(all.length)] : all;
  }

  /** @param {number} number */
  classOf(number) {
    return this.classes.find((one) => one.number === number);
  }

  /** Number of the chosen class; 0 where there is none. */
  get selected() {
    return this.view.class;
  }

  /** @param {number} number */
  select(number) {
    if (!this.classOf(number) || number === this.view.class) return;
    this.view.class = number;
    this.keepView();
    this.emit("select");
  }

  /**
   * Number of the object that new paint of a class gets.
   * @param {number} [class_]
   */
  objectNumber(class_ = this.selected) {
    const set = this.#objects.get(`${this.current} ${class_}`);
    return set ?? this.doc?.info.current?.[class_] ?? 1;
  }

  /**
   * @param {number} class_
   * @param {number} number
   */
  setObject(class_, number) {
    this.#objects.set(`${this.current} ${class_}`, number);
    this.view.class = class_;
    this.keepView();
    this.emit("select");
  }

  /**
   * Continue the object at a pixel.
   * @param {number} row
   * @param {number} col
   * @returns {boolean} whether there is one
   */
  pick(row, col) {
    const code = this.doc?.codeAt(row, col) ?? 0;
    if (code <= 0) return false;
    this.setObject(classOf(code), numberOf(code));
    this.continued = true;
    return true;
  }

  /**
   * Start a new object of a class.
   * @param {number} [class_]
   * @returns {number} its number
   */
  newObject(class_ = this.selected) {
    const number = (this.doc?.highest(class_) ?? 0) + 1;
    this.continued = false;
    this.setObject(class_, number);
    return number;
  }

  /** Code of new paint. */
  get code() {
    return codeOf(this.selected, this.objectNumber());
  }

  // --- images

  /** @param {number} n */
  file(n) {
    return this.files[n] ?? `image ${n + 1}`;
  }

  /**
   * @param {number} n
   * @param {128 | 256} [size]
   */
  thumb(n, size = 128) {
    return `api/thumb/${n}?size=${size}`;
  }

  /**
   * Show the image some places further on.
   * @param {number} step
   */
  step(step) {
    const n = this.current + step;
    if (n < 0 || n >= this.state.images) return Promise.resolve(false);
    return this.open(n).then(() => true);
  }

  /**
   * Show an image; what was painted stays with the server.
   * @param {number} n
   */
  async open(n) {
    if (n === this.current && this.#shown) return;
    this.#direction = n < this.current ? -1 : 1;
    this.current = n;
    this.view.image = n;
    this.keepView();
    this.#opening?.abort();
    const opening = new AbortController();
    this.#opening = opening;
    this.#shown = null;
    this.continued = false;
    this.hiddenObjects.clear();
    this.emit("image", n);
    try {
      const known = this.#open.has(n);
      const loaded = await this.#loadedImage(n, (progress) => {
        if (this.current === n) this.emit("opening", { n, progress });
      });
      if (this.current !== n) return;
      this.#shown = loaded;
      this.emit("doc", n);
      this.emit("objects");
      this.emit("select");
      if (known) void this.#check().catch(() => undefined);
      this.#ahead();
    } catch (error) {
      if (this.current !== n) return;
      this.emit("opening", { n, progress: null, error: error instanceof Error ? error.message : String(error) });
    }
  }

  /** Open the next image in the direction of the last step. */
  #ahead() {
    const next = this.current + this.#direction;
    if (next < 0 || next >= this.state.images) return;
    const current = this.current;
    setTimeout(() => {
      if (this.current === current) this.#loadedImage(next).catch(() => undefined);
    }, 150);
  }

  /**
   * @param {number} n
   * @param {(progress: number) => void} [progress]
   * @returns {Promise<Loaded>}
   */
  #loadedImage(n, progress) {
    let loaded = this.#open.get(n);
    if (loaded) this.#open.delete(n); // the last one used is the last one in the map
    else {
      loaded = this.#loadImage(n, progress);
      loaded.catch(() => {
        if (this.#open.get(n) === loaded) this.#open.delete(n);
      });
    }
    this.#open.set(n, loaded);
    for (const [other, old] of this.#open) {
      if (this.#open.size <= KEPT) break;
      if (other === this.current || this.#pending.some((one) => one.n === other)) continue;
      this.#open.delete(other);
      old.then((one) => one.source.close(), () => undefined);
    }
    return loaded;
  }

  /**
   * @param {number} n
   * @param {(progress: number) => void} [progress]
   * @returns {Promise<Loaded>}
   */
  async #loadImage(n, progress) {
    for (;;) {
      const info = await this.persist(() => this.get(`doc/${n}`));
      if (info.wait) {
        progress?.(info.progress ?? 0);
        await new Promise((resolve) => setTimeout(resolve, WAIT));
        continue;
      }
      try {
        const [doc, source] = await Promise.all([this.#loadDoc(info), imageSource(info)]);
        return { n, doc, source };
      } catch (error) {
        if (!(error instanceof Refused) || error.status !== 409) throw error; // changed meanwhile
      }
    }
  }

  /**
   * @param {DocInfo} info
   * @returns {Promise<PageDocument>}
   */
  async #loadDoc(info) {
    const { n, doc_rev } = info;
    const [labels, overrides] = await Promise.all([
      this.fetch(`labels/${n}?rev=${doc_rev}`).then((answer) => answer.arrayBuffer()),
      info.overrides ? this.fetch(`overrides/${n}?rev=${doc_rev}`).then((answer) => answer.arrayBuffer()) : null,
    ]);
    const measured = await this.#worker.measure(labelsOf(labels, info.bits), info);
    return new PageDocument(info, measured.labels, measured.boxes, overrides ? new Int32Array(overrides) : null);
  }

  /**
   * Load a document again if it changed elsewhere.
   * @param {number} [n]
   * @param {boolean} [always]
   */
  async #check(n = this.current, always = false) {
    const loaded = await this.#open.get(n);
    if (!loaded || this.waiting > 0) return;
    const info = await this.get(`doc/${n}`);
    if (info.wait) {
      if (!always) return;
      this.#open.delete(n); // what is known of it does not hold any more
      if (n === this.current) {
        this.#shown = null;
        await this.open(n);
      }
      return;
    }
    if ((info.doc_rev === loaded.doc.rev && !always) || this.waiting > 0) return;
    await this.#reloadDoc(loaded, info);
  }

  /**
   * @param {Loaded} loaded
   * @param {DocInfo} info
   */
  async #reloadDoc(loaded, info) {
    loaded.doc = await this.#loadDoc(info);
    if (this.#shown === loaded) {
      this.emit("change", { box: [0, 0, info.height, info.width] });
      this.emit("objects");
      this.emit("select");
    }
  }

  // --- commands

  /**
   * Send a command on the current image, or on classes.
   * @param {string} op
   * @param {Record<string, unknown>} [args]
   * @param {LocalChange} [local] is applied at once, and reverted where the server refuses
   * @param {number} [image] default the current one
   * @returns {Promise<Answer>}
   */
  command(op, args = {}, local, image = this.current) {
    return this.#change("commands", { op, image, args }, local);
  }

  undo() {
    return this.#change("undo", { image: this.current });
  }

  redo() {
    return this.#change("redo", { image: this.current });
  }

  /** @param {string[]} [formats] default those of the state */
  save(formats) {
    return this.command("save", formats ? { formats } : {});
  }

  /**
   * Begin a change that grows while the pointer moves; `command` sends it.
   * @param {LocalChange} local
   */
  live(local) {
    this.#pending.push({ n: this.current, local });
  }

  /**
   * Leave out a change that was begun and is not sent.
   * @param {LocalChange} local
   */
  forget(local) {
    this.#pending = this.#pending.filter((one) => one.local !== local);
  }

  /**
   * Say that pixels of the current image changed.
   * @param {Box | null} box
   */
  touch(box) {
    if (box) this.emit("change", { box });
  }

  /** Make this tab the one that may write. */
  async take() {
    await this.post("take", {});
    await this.refresh();
  }

  /**
   * @param {string} path
   * @param {{image: number} & Record<string, unknown>} body
   * @param {LocalChange} [local]
   * @returns {Promise<Answer>}
   */
  #change(path, body, local) {
    if (this.readOnly) {
      return Promise.reject(new Refused(403, "This tab is read only: another tab paints."));
    }
    /** @type {Pending | null} */
    let pending = this.#pending.find((one) => one.local === local) ?? null;
    if (local && !pending) {
      pending = { n: body.image, local };
      this.#pending.push(pending);
      this.#changed(body.image, local.apply());
    }
    return this.inTurn(() => this.#send(path, body, pending)).finally(() => {
      if (this.waiting === 0 && this.latest > this.rev) void this.refresh().catch(() => undefined);
    });
  }

  /**
   * @param {number} n
   * @param {Box | null} box
   */
  #changed(n, box) {
    if (this.#shown?.n === n && box) this.emit("change", { box });
  }

  /**
   * @param {string} path
   * @param {{image: number} & Record<string, unknown>} body
   * @param {Pending | null} pending
   * @returns {Promise<Answer>}
   */
  async #send(path, body, pending) {
    const id = newId();
    const n = body.image;
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await this.persist(() => this.post(path, { rev: this.rev, id, ...body }));
        this.answered(answer.rev);
        if (this.#state) this.#state.rev = Math.max(this.#state.rev, answer.rev);
        await this.#settle(n, pending, answer);
        return answer;
      } catch (error) {
        const status = error instanceof Refused ? error.status : 0;
        if (status === 409 && attempt < 3) {
          await this.#load();
          await this.#opened(n); // a server that was started again opens it first
          continue;
        }
        if (status === 403) await this.#load().catch(() => undefined);
        if (status === 403 && this.connection === "refused") {
          await this.regained();
          continue;
        }
        this.#drop(n, pending);
        throw error;
      }
    }
  }

  /**
   * Wait until the server has an image open.
   * @param {number | null} n
   */
  async #opened(n) {
    while (n !== null && n >= 0 && (await this.persist(() => this.get(`doc/${n}`))).wait) await pause(WAIT);
  }

  /**
   * Take over an answer below the commands that still wait.
   * @param {number} n
   * @param {Pending | null} pending
   * @param {Answer} answer
   */
  async #settle(n, pending, answer) {
    const { delta } = answer;
    const loaded = await this.#open.get(n)?.catch(() => undefined);
    if (delta?.classes && this.#state) {
      this.#state.classes = delta.classes;
      if (!this.classOf(this.view.class)) this.view.class = delta.classes[0]?.number ?? 0;
    }
    if (!delta || !loaded) {
      this.#drop(n, pending);
      if (delta?.classes) this.emit("state");
      return;
    }
    const parts = await decoded({ doc_rev: answer.doc_rev, ...delta });
    const { doc } = loaded;
    if (pending && doc.shows(pending.local, parts)) {
      this.#pending = this.#pending.filter((one) => one !== pending);
      doc.note(parts.delta); // it is all on the screen
    } else {
      const later = this.#pending.filter((one) => one.n === n && one !== pending);
      const boxes = [...later].reverse().map((one) => one.local.revert());
      if (pending) {
        boxes.push(pending.local.revert());
        this.#pending = this.#pending.filter((one) => one !== pending);
      }
      boxes.push(doc.take(parts));
      for (const one of later) boxes.push(one.local.apply());
      for (const box of boxes) this.#changed(n, box);
    }
    const marked = this.marks[n] !== doc.mark;
    this.marks[n] = doc.mark;
    const unknown = doc.objects.some((one) => one.class > doc.info.palette.length);
    if (delta.reload || answer.stale || unknown) await this.#reloadDoc(loaded, await this.get(`doc/${n}`));
    if (delta.classes) this.emit("state");
    if (this.#shown === loaded) this.emit("objects");
    if (marked) this.emit("files", [n]);
  }

  /**
   * Revert what a refused command showed.
   * @param {number} n
   * @param {Pending | null} pending
   */
  #drop(n, pending) {
    if (!pending) return;
    const later = this.#pending.slice(this.#pending.indexOf(pending) + 1).filter((one) => one.n === n);
    const boxes = [...[...later].reverse(), pending].map((one) => one.local.revert());
    for (const one of later) boxes.push(one.local.apply());
    this.#pending = this.#pending.filter((one) => one !== pending);
    for (const box of boxes) this.#changed(n, box);
  }
}

/** The worker that measures label maps. */
class Boxes {
  /** @type {Worker | null} */
  #worker = null;
  #ticket = 0;
  /** @type {Map<number, (measured: {labels: Uint16Array | Uint32Array, boxes: Int32Array}) => void>} */
  #waiting = new Map();

  /**
   * @param {Uint16Array | Uint32Array} labels
   * @param {DocInfo} info
   * @returns {Promise<{labels: Uint16Array | Uint32Array, boxes: Int32Array}>}
   */
  measure(labels, info) {
    if (!this.#worker) {
      this.#worker = new Worker(new URL("./boxes-worker.js", import.meta.url), { type: "module" });
      this.#worker.addEventListener("message", (event) => {
        this.#waiting.get(event.data.ticket)?.(event.data);
        this.#waiting.delete(event.data.ticket);
      });
    }
    const ticket = ++this.#ticket;
    const worker = this.#worker;
    return new Promise((resolve) => {
      this.#waiting.set(ticket, resolve);
      const { width, height, segments: count } = info;
      worker.postMessage({ ticket, labels, width, height, count }, [labels.buffer]);
    });
  }
}
