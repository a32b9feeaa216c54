/** The state of the review in this page and the commands that change it. */

import { Connection, newId, pause, Refused } from "./connection.js";

/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").Cluster} Cluster */
/** @typedef {import("./types.js").Label} Label */
/** @typedef {import("./types.js").Detail} Detail */
/** @typedef {import("./types.js").Images} Images */
/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").Forest} Forest */
/** @typedef {import("./types.js").Info} Info */

/** @type {number[]} */
const NONE = [];

/**
 * Events: `change` (detail: ids of changed clusters, or null after a full load), `images`,
 * `connection`, `busy`.
 */
export class Store extends Connection {
  /** @type {State | null} */
  #state = null;
  /** @type {Map<number, Cluster>} */
  clusters = new Map();
  /** @type {Map<number, Label>} */
  labels = new Map();
  /** @type {Images} */
  images = { files: [], width: [], height: [], bytes: [] };
  /** @type {Map<number, Promise<Detail>>} */
  #details = new Map();
  /** @type {Int32Array | null} */
  #home = null;
  /** @type {Promise<Forest> | null} */
  #forest = null;
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

  /** Load the state, then the table of images, then listen for changes. */
  async start() {
    this.listen(["state"]);
    await this.persist(async () => this.#apply(await this.get(this.#statePath())), true);
    await pause(50); // the first thumbnails are asked for before the long table
    await this.#loadImages();
    // an event may have come before the state
    await this.catchUp();
  }

  async #loadImages() {
    this.images = await this.persist(() => this.get("images"));
    this.emit("images");
  }

  async complete() {
    if (!this.images.files.length) await this.#loadImages();
  }

  /**
   * @param {string} _type
   * @param {{rev: number}} data
   */
  received(_type, data) {
    this.heard(Number(data.rev));
  }

  /** Load what changed if the server is ahead of this page. */
  async catchUp() {
    if (this.latest > this.rev && this.loaded) await this.refresh().catch(() => undefined);
  }

  /** Load what changed since the state of this page. */
  refresh() {
    this.#refreshing ??= this.persist(async () => {
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
    return `state?tab=${this.tab}${this.loaded ? `&rev=${this.rev}` : ""}`;
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
    return this.inTurn(() => this.#send(path, body, touched)).finally(() => {
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
        const answer = await this.persist(() => {
          rev = this.rev;
          before = touched?.map((cluster) => this.clusters.get(cluster));
          return this.post(path, { rev, id, ...body });
        });
        this.answered(answer.rev);
        if (answer.delta ? !this.#apply(answer.delta) : answer.rev > this.rev) await this.#reload();
        return answer;
      } catch (error) {
        // another tab may have taken over
        if (error instanceof Refused && error.status === 403) {
          await this.#reload().catch(() => undefined);
          if (this.connection === "refused") {
            await this.regained();
            continue;
          }
        }
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
    this.latest = Math.max(this.latest, next.rev);
    this.#home = null;
    this.emit("change", full ? null : changed);
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
    const buffer = await (await this.fetch("forest")).arrayBuffer();
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
