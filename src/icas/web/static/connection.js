/** The connection of a page to its server: requests, the event stream, changes one after another. */

/** @typedef {"connecting" | "online" | "offline" | "refused"} ConnectionState */

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

const RETRY = [300, 700, 1500, 3000];
/** Milliseconds after which a page that was refused asks again. */
const ASK_AGAIN = 5000;

/** @returns {string} */
export function newId() {
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
export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Events: `connection`, `busy`; those of the page come from the classes below this one. */
export class Connection extends EventTarget {
  /** @type {ConnectionState} */
  connection = "connecting";
  /** Changes sent and not answered yet. */
  waiting = 0;
  tab = tabId();
  /** @type {Promise<unknown>} */
  #tail = Promise.resolve();
  /** @type {EventSource | null} */
  #events = null;

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
  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  constructor() {
    super();
    addEventListener("beforeunload", (event) => {
      if (this.waiting > 0) event.preventDefault(); // the browser asks: changes would be lost
    });
  }

  /** Whether another tab changes what this one shows. */
  get readOnly() {
    return false;
  }

  /** Wait until the server gives access again, and until this tab may write. */
  async regained() {
    while (this.connection === "refused" || this.readOnly) await pause(200);
  }

  /** Whether there is a state that can be out of date. */
  get loaded() {
    return true;
  }

  /** Load what changed since the state of this page. */
  async refresh() {}

  /** Last revision of the server that this page knows of. */
  latest = -1;
  /** Revisions that commands of this page made, whose events are still to come. */
  #own = new Set();

  /**
   * A command of this page was answered.
   * @param {number} rev
   */
  answered(rev) {
    if (this.latest < rev) this.#own.add(rev);
  }

  /**
   * An event said that the server is at a revision.
   * @param {number} rev
   */
  heard(rev) {
    this.latest = Math.max(this.latest, rev);
    const own = this.#own.delete(rev);
    if (own || this.waiting > 0 || !this.loaded) return;
    // also where the revision is the same: another tab may write now
    void this.refresh().catch(() => undefined);
  }

  /** Load what is still missing; called once the server gives access again. */
  async complete() {}

  /**
   * An event of the server.
   * @param {string} _type
   * @param {any} _data
   */
  received(_type, _data) {}

  /**
   * Repeat a request until the server answers.
   * @template T
   * @param {() => Promise<T>} request
   * @param {boolean} [entry] a refusal is one of this page, not of what it asks for
   * @returns {Promise<T>}
   */
  async persist(request, entry = false) {
    for (let attempt = 0; ; attempt++) {
      try {
        const value = await request();
        // an answer that was on its way does not say that the page has access again
        if (entry || this.connection !== "refused") this.#connect("online");
        return value;
      } catch (error) {
        if (error instanceof DOMException && error.name === "AbortError") throw error;
        if (error instanceof Refused) {
          if (entry && error.status === 403) this.#connect("refused");
          if (error.status !== 503) throw error;
        }
        if (!(error instanceof Refused)) this.#connect("offline");
        await pause(RETRY[Math.min(attempt, RETRY.length - 1)]);
      }
    }
  }

  /** @param {ConnectionState} connection */
  #connect(connection) {
    if (connection === this.connection) return;
    this.connection = connection;
    this.emit("connection", connection);
    if (connection === "refused") void this.#askAgain();
  }

  /** Ask until the server gives access again: a new address may be opened in another tab. */
  async #askAgain() {
    this.#events?.close();
    while (this.connection === "refused") {
      await pause(ASK_AGAIN);
      await this.refresh().catch(() => undefined);
    }
    this.listen();
    await this.complete();
  }

  /** @type {string[]} */
  #types = [];

  /**
   * Listen for events of the server.
   * @param {string[]} [types]
   */
  listen(types = this.#types) {
    this.#types = types;
    this.#events?.close();
    const events = new EventSource(`api/events?tab=${this.tab}`);
    this.#events = events;
    for (const type of types) {
      events.addEventListener(type, (event) => this.received(type, JSON.parse(event.data)));
    }
    events.addEventListener("open", () => {
      if (this.connection === "offline" && this.loaded) void this.refresh().catch(() => undefined);
    });
    events.addEventListener("error", () => {
      if (this.connection === "refused") return;
      this.#connect("offline");
      // a browser gives up after an answer that is no event stream
      if (events.readyState !== EventSource.CLOSED) return;
      void this.refresh().catch(() => undefined); // says whether this page is refused
      setTimeout(() => {
        if (this.connection !== "refused" && this.#events === events) this.listen();
      }, 2000);
    });
  }

  /**
   * @param {string} path below api/
   * @param {AbortSignal} [signal]
   * @returns {Promise<Response>}
   */
  async fetch(path, signal) {
    const answer = await fetch(`api/${path}`, { signal: signal ?? null });
    if (!answer.ok) throw new Refused(answer.status, await reason(answer));
    return answer;
  }

  /**
   * @param {string} path below api/
   * @param {AbortSignal} [signal]
   * @returns {Promise<any>}
   */
  async get(path, signal) {
    return (await this.fetch(path, signal)).json();
  }

  /**
   * @param {string} path below api/
   * @param {object} body
   * @param {AbortSignal} [signal]
   * @returns {Promise<any>}
   */
  async post(path, body, signal) {
    const answer = await fetch(`api/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Icas": "1", "X-Icas-Tab": this.tab },
      body: JSON.stringify(body),
      keepalive: document.visibilityState === "hidden", // what is sent last, when the page closes
      signal: signal ?? null,
    });
    if (!answer.ok) throw new Refused(answer.status, await reason(answer));
    return answer.json();
  }

  /**
   * Run changes one after another.
   * @template T
   * @param {() => Promise<T>} send
   * @returns {Promise<T>}
   */
  inTurn(send) {
    this.waiting += 1;
    this.emit("busy", this.waiting);
    const sent = this.#tail.then(send);
    this.#tail = sent.catch(() => undefined);
    return sent.finally(() => {
      this.waiting -= 1;
      this.emit("busy", this.waiting);
    });
  }

  /** Close the event stream. */
  stop() {
    this.#events?.close();
    this.#events = null;
  }
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
