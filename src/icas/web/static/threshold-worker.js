/** Worker of the screen Threshold: clusters at every threshold, by union-find over the forest. */

/**
 * @typedef {object} Setup
 * @property {"setup"} type
 * @property {number} images
 * @property {ArrayBuffer} [forest] as the server sends it; only the first time
 * @property {Uint8Array} frozen 1 for images that another threshold leaves alone
 * @property {number} threshold of the review
 *
 * @typedef {object} Ask
 * @property {"at"} type
 * @property {number} value
 * @property {number} ticket
 *
 * @typedef {object} Move
 * @property {"step"} type
 * @property {number} value
 * @property {number} turn sent back: the answer to an earlier choice does not count
 * @property {number} steps
 *
 * @typedef {[a: number, b: number, similarity: number, sizeA: number, sizeB: number]} Pair
 *
 * @typedef {object} Counts
 * @property {number} clusters
 * @property {number} clustered images in clusters
 * @property {number} largest
 *
 * @typedef {Counts & {type: "at", ticket: number, value: number, won: Pair[], lost: Pair[], wonCount: number, lostCount: number}} View
 */

const PAIRS = 8;
const POINTS = 600;

/** A union-find with path halving; also tests and the benchmark use it. */
export class Forest {
  /**
   * @param {number} images
   * @param {Int32Array} a
   * @param {Int32Array} b
   * @param {Float32Array} similarity descending
   * @param {Uint8Array} frozen
   */
  constructor(images, a, b, similarity, frozen) {
    const keep = new Int32Array(a.length);
    let count = 0;
    for (let i = 0; i < a.length; i++) if (!frozen[a[i]] && !frozen[b[i]]) keep[count++] = i;
    this.length = count;
    this.a = new Int32Array(count);
    this.b = new Int32Array(count);
    this.similarity = new Float32Array(count);
    /** Images of the two parts that each link joins. */
    this.sizeA = new Int32Array(count);
    this.sizeB = new Int32Array(count);
    /** After the first k links: clusters, images in them, size of the largest. */
    this.clusters = new Int32Array(count + 1);
    this.clustered = new Int32Array(count + 1);
    this.largest = new Int32Array(count + 1);
    const parent = new Int32Array(images);
    const size = new Int32Array(images).fill(1);
    for (let i = 0; i < images; i++) parent[i] = i;
    /** @param {number} i */
    const find = (i) => {
      while (parent[i] !== i) i = parent[i] = parent[parent[i]];
      return i;
    };
    let clusters = 0;
    let clustered = 0;
    let largest = 0;
    for (let k = 0; k < count; k++) {
      const i = keep[k];
      this.a[k] = a[i];
      this.b[k] = b[i];
      this.similarity[k] = similarity[i];
      let one = find(a[i]);
      let two = find(b[i]);
      this.sizeA[k] = size[one];
      this.sizeB[k] = size[two];
      if (one !== two) {
        const alone = (size[one] === 1 ? 1 : 0) + (size[two] === 1 ? 1 : 0);
        clusters += alone === 2 ? 1 : alone === 1 ? 0 : -1;
        clustered += alone;
        if (size[one] < size[two]) [one, two] = [two, one];
        parent[two] = one;
        size[one] += size[two];
        if (size[one] > largest) largest = size[one];
      }
      this.clusters[k + 1] = clusters;
      this.clustered[k + 1] = clustered;
      this.largest[k + 1] = largest;
    }
  }

  /**
   * Number of links at or above a threshold; similarities have 32 bits.
   * @param {number} value
   */
  linksAt(value) {
    const least = Math.fround(value);
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.similarity[middle] >= least) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * @param {number} links
   * @returns {Counts}
   */
  countsAt(links) {
    return { clusters: this.clusters[links], clustered: this.clustered[links], largest: this.largest[links] };
  }

  /**
   * @param {number} link
   * @returns {Pair}
   */
  pair(link) {
    return [this.a[link], this.b[link], this.similarity[link], this.sizeA[link], this.sizeB[link]];
  }

  /**
   * What another threshold changes: links nearest to it first.
   * @param {number} before number of links now
   * @param {number} value
   */
  view(before, value) {
    const links = this.linksAt(value);
    /** @type {Pair[]} */
    const won = [];
    /** @type {Pair[]} */
    const lost = [];
    if (links > before) {
      for (let k = links - 1; k >= before && won.length < PAIRS; k--) won.push(this.pair(k));
    } else if (links < before) {
      for (let k = links; k < before && lost.length < PAIRS; k++) lost.push(this.pair(k));
    } else {
      for (let k = links - 1; k >= 0 && lost.length < PAIRS; k--) lost.push(this.pair(k));
      for (let k = links; k < this.length && won.length < PAIRS; k++) won.push(this.pair(k));
    }
    return {
      ...this.countsAt(links),
      won,
      lost,
      wonCount: Math.max(0, links - before),
      lostCount: Math.max(0, before - links),
    };
  }

  /**
   * The threshold some steps away at which something changes.
   * @param {number} value
   * @param {number} steps negative: lower thresholds
   * @param {number} floor
   */
  step(value, steps, floor) {
    let links = this.linksAt(value);
    for (let i = 0; i < Math.abs(steps); i++) {
      if (steps > 0) {
        // lose the weakest link, and all that are as weak
        if (!links) return 1;
        const weakest = this.similarity[links - 1];
        while (links > 0 && this.similarity[links - 1] === weakest) links--;
      } else {
        if (links >= this.length) return floor;
        const next = this.similarity[links];
        while (links < this.length && this.similarity[links] === next) links++;
      }
    }
    return links ? this.similarity[links - 1] : 1;
  }

  /**
   * Counts at evenly spaced thresholds.
   * @param {number} low
   * @param {number} high
   */
  curve(low, high) {
    const points = new Float32Array(POINTS * 3);
    for (let i = 0; i < POINTS; i++) {
      const value = low + ((high - low) * i) / (POINTS - 1);
      const links = this.linksAt(value);
      points[3 * i] = value;
      points[3 * i + 1] = this.clusters[links];
      points[3 * i + 2] = this.clustered[links];
    }
    return points;
  }
}

/**
 * @param {ArrayBuffer} data
 * @returns {[Int32Array, Int32Array, Float32Array]}
 */
export function unpack(data) {
  const count = new Uint32Array(data, 0, 1)[0];
  return [
    new Int32Array(data, 4, count),
    new Int32Array(data, 4 + 4 * count, count),
    new Float32Array(data, 4 + 8 * count, count),
  ];
}

if (typeof window === "undefined" && typeof postMessage === "function") {
  const send = /** @type {(message: object) => void} */ (/** @type {unknown} */ (postMessage));
  /** @type {Forest | null} */
  let forest = null;
  /** @type {[Int32Array, Int32Array, Float32Array] | null} */
  let links = null;
  let before = 0;
  let floor = 0;
  addEventListener("message", (event) => {
    const message = /** @type {Setup | Ask | Move} */ (event.data);
    if (message.type === "setup") {
      if (message.forest) links = unpack(message.forest);
      if (!links) return;
      forest = new Forest(message.images, ...links, message.frozen);
      before = forest.linksAt(message.threshold);
      const least = forest.length ? forest.similarity[forest.length - 1] : message.threshold;
      floor = Math.min(least, message.threshold);
      send({ type: "ready", floor, curve: forest.curve(floor, 1), now: forest.countsAt(before), links: forest.length });
    } else if (message.type === "at" && forest) {
      send({ type: "at", ticket: message.ticket, value: message.value, ...forest.view(before, message.value) });
    } else if (message.type === "step" && forest) {
      send({ type: "step", turn: message.turn, value: forest.step(message.value, message.steps, floor) });
    }
  });
}
