/** The state of the review in this page, the commands that change it and the connection. */

/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").Cluster} Cluster */
/** @typedef {import("./types.js").Label} Label */
/** @typedef {import("./types.js").Detail} Detail */
/** @typedef {import("./types.js").Images} Images */
/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").Forest} Forest */
/** @typedef {import("./types.js").Info} Info */
/** @typedef {"connecting" | "online" | "offline" | "refused"} Connection */

/** An error that the server answered. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** @type {number[]} */
const NONE = [];
const RETRY = [300, 700, 1500, 3000];
/** Milliseconds after which a page that was refused asks again. */
const ASK_AGAIN = 5000;

/** @returns {string} */
function newId() {
  // not crypto.randomUUID: it is missing where the page comes by plain HTTP from another machine
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}

/**
 * The name of this tab: kept when the page is loaded again, but not in a copy of the tab.
 * @returns {string}
 */
function tabId() {
  const place = "icas-tab";
  try {
    const id = sessionStorage.getItem(place) ?? newId();
    sessionStorage.removeItem(place);
    addEventListener("pagehide", () => sessionStorage.setItem(place, id));
    return id;
  } catch {
    return newId();
  }
}

/** @param {number} milliseconds */
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * Events: `change` (detail: ids of changed clusters, or null after a full load), `images`,
 * `connection`, `busy`.
 */
export class Store extends EventTarget {
  /** @type {State | null} */
  #state = null;
  /** @type {Map<number, Cluster>} */
  clusters = new Map();
  /** @type {Map<number, Label>} */
  labels = new Map();
  /** @type {Images} */
  images = { files: [], width: [], height: [], bytes: [] };
  /** @type {Connection} */
  connection = "connecting";
  /** Commands sent and not answered yet. */
  waiting = 0;
  /** @type {Promise<unknown>} */
  #tail = Promise.resolve();
  /** @type {Map<number, Promise<Detail>>} */
  #details = new Map();
  /** @type {Int32Array | null} */
  #home = null;
  #latest = -1;
  /** Revisions that commands of this page made. */
  #own = new Set();
  #tab = tabId();
  /** @type {Promise<Forest> | null} */
  #forest = null;
  /** @type {EventSource | null} */
  #events = null;
  /** @type {Promise<void> | null} */
  #refreshing = null;

  /** The last state; screens are mounted after it is there. */
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

  /**
   * @param {string} type
   * @param {(detail: any) => void} listener
   * @param {AbortSignal} [signal]
   */
  on(type, listener, signal) {
    this.addEventListener(
      type,
      (event) => listener(/** @type {CustomEvent} */ (event).detail),
      signal ? { signal } : undefined,
    );
  }

  /**
   * @param {string} type
   * @param {unknown} [detail]
   */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** Load the state, then the table of images, then listen for changes. */
  async start() {
    this.#listen();
    await this.#persist(async () => this.#apply(await this.get(this.#statePath())), true);
    await pause(50); // the first thumbnails are asked for before the long table
    await this.#loadImages();
    // an event may have come before the state
    await this.catchUp();
  }

  async #loadImages() {
    this.images = await this.#persist(() => this.get("images"));
    this.#emit("images");
  }

  /**
   * Repeat a request until the server answers.
   * @template T
   * @param {() => Promise<T>} request
   * @param {boolean} [entry] a refusal is one of this page, not of what it asks for
   * @returns {Promise<T>}
   */
  async #persist(request, entry = false) {
    for (let attempt = 0; ; attempt++) {
      try {
        const value = await request();
        // an answer that was on its way does not say that the page has access again
        if (entry || this.connection !== "refused") this.#connect("online");
        return value;
      } catch (error) {
        if (error instanceof Refused) {
          if (entry && error.status === 403) this.#connect("refused");
          if (error.status !== 503) throw error;
        }
        if (!(error instanceof Refused)) this.#connect("offline");
        await pause(RETRY[Math.min(attempt, RETRY.length - 1)]);
      }
    }
  }

  /** @param {Connection} connection */
  #connect(connection) {
    if (connection === this.connection) return;
    this.connection = connection;
    this.#emit("connection", connection);
    if (connection === "refused") void this.#askAgain();
  }

  /** Ask until the server gives access again: a new address may be opened in another tab. */
  async #askAgain() {
    this.#events?.close();
    while (this.connection === "refused") {
      await pause(ASK_AGAIN);
      await this.refresh().catch(() => undefined);
    }
    this.#listen();
    if (!this.images.files.length) await this.#loadImages();
  }

  #listen() {
    this.#events?.close();
    const events = new EventSource(`api/events?tab=${this.#tab}`);
    this.#events = events;
    events.addEventListener("state", (event) => {
      const rev = Number(JSON.parse(event.data).rev);
      this.#latest = Math.max(this.#latest, rev);
      const own = this.#own.delete(rev);
      if (own || this.waiting > 0 || !this.loaded) return;
      // also where the revision is the same: another tab may write now
      void this.refresh().catch(() => undefined);
    });
    events.addEventListener("open", () => {
      if (this.connection === "offline" && this.loaded) {
        void this.refresh().catch(() => undefined);
      }
    });
    events.addEventListener("error", () => {
      if (this.connection === "refused") return;
      this.#connect("offline");
      // a browser gives up after an answer that is no event stream
      if (events.readyState !== EventSource.CLOSED) return;
      void this.refresh().catch(() => undefined); // says whether this page is refused
      setTimeout(() => {
        if (this.connection !== "refused" && this.#events === events) this.#listen();
      }, 2000);
    });
  }

  /** Load what changed if the server is ahead of this page. */
  async catchUp() {
    if (this.#latest > this.rev && this.loaded) await this.refresh().catch(() => undefined);
  }

  /** Load what changed since the state of this page. */
  refresh() {
    this.#refreshing ??= this.#persist(async () => {
      while (!this.#apply(await this.get(this.#statePath())));
    }, true).finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  /** Load what changed with a request that starts now; one under way may have an older answer. */
  async #reload() {
    await this.#refreshing?.catch(() => undefined);
    await this.refresh();
  }

  #statePath() {
    return `state?tab=${this.#tab}${this.loaded ? `&rev=${this.rev}` : ""}`;
  }

  /**
   * @param {string} path below /api/
   * @param {AbortSignal} [signal]
   * @returns {Promise<any>}
   */
  async get(path, signal) {
    const answer = await fetch(`api/${path}`, { signal: signal ?? null });
    if (!answer.ok) throw new Refused(answer.status, await reason(answer));
    return answer.json();
  }

  /**
   * @param {string} path below /api/
   * @param {object} body
   * @returns {Promise<any>}
   */
  async post(path, body) {
    const answer = await fetch(`api/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Icas": "1", "X-Icas-Tab": this.#tab },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Refused(answer.status, await reason(answer));
    return answer.json();
  }

  /**
   * Send a command. Commands go one after another; each waits for the connection.
   * @param {string} op
   * @param {Record<string, unknown>} args
   * @returns {Promise<Answer>}
   */
  command(op, args) {
    const touched = [args.cluster, args.to, ...asList(args.clusters)].filter(
      (id) => typeof id === "number",
    );
    return this.change("commands", { op, args }, /** @type {number[]} */ (touched));
  }

  undo() {
    return this.change("undo", {}, null);
  }

  redo() {
    return this.change("redo", {}, null);
  }

  /** @param {number} seq number of the last command that stays */
  jump(seq) {
    return this.change("jump", { seq }, null);
  }

  /** Make this tab the one that may write. */
  async take() {
    await this.post("take", {});
    await this.refresh();
  }

  /**
   * Post a change with `rev` and `id`.
   *
   * Where the state is stale, the page catches up and sends the change again if none of the
   * touched clusters changed.
   * @param {string} path
   * @param {object} body
   * @param {number[] | null} touched clusters of the change; null: never send it again
   * @returns {Promise<Answer>}
   */
  change(path, body, touched) {
    if (this.readOnly) {
      return Promise.reject(new Refused(403, "This tab is read only: another tab edits the review."));
    }
    this.waiting += 1;
    this.#emit("busy", this.waiting);
    const sent = this.#tail.then(() => this.#send(path, body, touched));
    this.#tail = sent.catch(() => undefined);
    return sent.finally(() => {
      this.waiting -= 1;
      this.#emit("busy", this.waiting);
      if (this.waiting === 0) void this.catchUp();
    });
  }

  /**
   * @param {string} path
   * @param {object} body
   * @param {number[] | null} touched
   * @returns {Promise<Answer>}
   */
  async #send(path, body, touched) {
    const id = newId();
    for (let attempt = 0; ; attempt++) {
      // as the command was sent: another answer may come before that of the command
      let rev = this.rev;
      let before = touched?.map((cluster) => this.clusters.get(cluster));
      try {
        const answer = await this.#persist(() => {
          rev = this.rev;
          before = touched?.map((cluster) => this.clusters.get(cluster));
          return this.post(path, { rev, id, ...body });
        });
        if (this.#latest < answer.rev) this.#own.add(answer.rev); // its event is still to come
        if (answer.delta ? !this.#apply(answer.delta) : answer.rev > this.rev) await this.#reload();
        return answer;
      } catch (error) {
        // another tab may have taken over
        if (error instanceof Refused && error.status === 403) await this.#reload();
        if (!(error instanceof Refused) || error.status !== 409) throw error;
        await this.#reload();
        const same = touched?.every((cluster, i) => this.clusters.get(cluster) === before?.[i]);
        if (!same || attempt > 2 || this.rev === rev) {
          throw new Refused(409, "The review changed elsewhere and was loaded again: repeat the command.");
        }
      }
    }
  }

  /**
   * @param {State} next
   * @returns {boolean} false: it is newer, but says what changed since another state
   */
  #apply(next) {
    const full = next.since === undefined || next.since === null || !this.#state;
    if (!full && next.since !== this.rev) {
      return next.rev <= this.rev; // an answer and an event may cross
    }
    /** @type {Set<number>} */
    const changed = new Set();
    if (full) {
      this.clusters = new Map(next.clusters.map((cluster) => [cluster.id, cluster]));
      this.labels = new Map();
      this.#details.clear();
    } else {
      for (const id of next.removed ?? NONE) {
        this.clusters.delete(id);
        changed.add(id);
      }
      for (const cluster of next.clusters ?? []) {
        this.clusters.set(cluster.id, cluster);
        changed.add(cluster.id);
      }
      for (const id of changed) this.#details.delete(id);
    }
    for (const [image, label] of Object.entries(next.labels ?? {})) {
      if (label) this.labels.set(Number(image), label);
      else this.labels.delete(Number(image));
    }
    const merged = full ? next : { ...this.#state, ...defined(next) };
    this.#state = /** @type {State} */ ({ ...merged, clusters: [], labels: {} });
    this.#latest = Math.max(this.#latest, next.rev);
    this.#home = null;
    this.#emit("change", full ? null : changed);
    return true;
  }

  /**
   * Links of a cluster; loaded once and again after it changed.
   * @param {number} id
   * @returns {Promise<Detail>}
   */
  detail(id) {
    let detail = this.#details.get(id);
    if (!detail) {
      detail = this.get(`cluster/${id}`);
      this.#details.set(id, detail);
      detail.catch(() => this.#details.delete(id));
      if (this.#details.size > 200) {
        this.#details.delete(/** @type {number} */ (this.#details.keys().next().value));
      }
    }
    return detail;
  }

  /**
   * Size, bytes, path and sharpness of an image.
   * @param {number} image
   * @param {AbortSignal} [signal]
   * @returns {Promise<Info>}
   */
  info(image, signal) {
    return this.get(`info/${image}`, signal);
  }

  /** The spanning forest of the run: links by falling similarity. */
  forest() {
    this.#forest ??= this.#loadForest().catch((error) => {
      this.#forest = null;
      throw error;
    });
    return this.#forest;
  }

  /** @returns {Promise<Forest>} */
  async #loadForest() {
    const answer = await fetch("api/forest");
    if (!answer.ok) throw new Refused(answer.status, await reason(answer));
    const buffer = await answer.arrayBuffer();
    const length = new DataView(buffer).getUint32(0, true);
    return {
      a: new Int32Array(buffer, 4, length),
      b: new Int32Array(buffer, 4 + 4 * length, length),
      similarity: new Float32Array(buffer, 4 + 8 * length, length),
    };
  }

  /**
   * The cluster of an image, or undefined for outliers and rejected images.
   * @param {number} image
   */
  clusterOf(image) {
    if (!this.#home) {
      this.#home = new Int32Array(this.state.run.images).fill(-1);
      for (const cluster of this.clusters.values()) {
        for (const member of cluster.members) this.#home[member] = cluster.id;
      }
    }
    return this.clusters.get(this.#home[image]);
  }

  /** @param {number} image */
  file(image) {
    return this.images.files[image] ?? `image ${image}`;
  }

  /**
   * @param {number} image
   * @param {128 | 256} [size]
   */
  thumb(image, size = 128) {
    return `api/thumb/${image}?size=${size}`;
  }

  /** @param {number} image */
  full(image) {
    return `api/image/${image}`;
  }

  /** Class names in the order of first use; the first nine have the keys 1 to 9. */
  get classNames() {
    return this.state.classes.map((one) => one.name);
  }

  /** Close the event stream. */
  stop() {
    this.#events?.close();
  }
}

/**
 * @param {unknown} value
 * @returns {unknown[]}
 */
function asList(value) {
  return Array.isArray(value) ? value : [];
}

/** Lists that are null in a delta where they did not change. */
const LISTS = ["outliers", "held", "rejected", "run"];

/**
 * @template {object} T
 * @param {T} value
 * @returns {Partial<T>}
 */
function defined(value) {
  const kept = Object.entries(value).filter(
    ([name, one]) => one !== undefined && !(one === null && LISTS.includes(name)),
  );
  return /** @type {Partial<T>} */ (Object.fromEntries(kept));
}

/**
 * @param {Response} answer
 * @returns {Promise<string>}
 */
async function reason(answer) {
  try {
    const body = await answer.json();
    if (typeof body.error === "string") return body.error;
  } catch {
    // no JSON: the status says it
  }
  return `the server answered ${answer.status}`;
}
