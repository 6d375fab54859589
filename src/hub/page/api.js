// Requests to the hub, with the key of this tab. Reads in the background keep below the hub's limit of requests.
import { learnClock } from "./live_time.js";

/** Of the 100 requests in 10 s that a key has, the background leaves the rest to what the person does. */
const READS_MAX = 60;
const WINDOW_MS = 10_000;
const TIMEOUT_MS = 20_000;

export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {{code?: string, message?: string, hint?: string}} error
   */
  constructor(status, error) {
    super(error.message ?? `the hub answered ${status}`);
    this.status = status;
    this.code = error.code ?? "";
    this.hint = error.hint ?? "";
  }
}

export class Api {
  #key;
  /** @type {number[]} */
  #reads = [];
  #notBefore = 0;
  #isRefused = false;
  #onRefused;

  /**
   * @param {string} key
   * @param {() => void} onRefused runs when the key is not accepted any more
   */
  constructor(key, onRefused) {
    this.#key = key;
    this.#onRefused = onRefused;
  }

  /** Takes note that the key is not accepted any more: nothing is sent with it again. */
  refuse() {
    if (this.#isRefused) return;
    this.#isRefused = true;
    this.#onRefused();
  }

  get headers() {
    return { Authorization: `Bearer ${this.#key}` };
  }

  /**
   * Reads a resource when the limit of requests allows it.
   * @param {string} path
   * @returns {Promise<any>}
   */
  async read(path) {
    for (;;) {
      const time = Date.now();
      this.#reads = this.#reads.filter((at) => at > time - WINDOW_MS);
      const oldest = this.#reads.length < READS_MAX ? time : /** @type {number} */ (this.#reads[0]) + WINDOW_MS;
      const wait = Math.max(oldest, this.#notBefore) - time;
      if (wait <= 0) break;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
    this.#reads.push(Date.now());
    return this.send("GET", path);
  }

  /**
   * Sends a request at once. Throws `ApiError` with the error of the hub.
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   * @returns {Promise<any>}
   */
  async send(method, path, body) {
    if (this.#isRefused) throw new ApiError(401, { message: "this tab is not signed in" });
    /** @type {Record<string, string>} */
    const headers = { ...this.headers, Accept: "application/json" };
    if (method !== "GET") headers["Content-Type"] = "application/json";
    const response = await fetch(path, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store",
      credentials: "omit", signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    learnClock(response.headers.get("Date"));
    const text = await response.text();
    if (response.ok) return text === "" ? null : JSON.parse(text);
    if (response.status === 429) {
      this.#notBefore = Date.now() + 1000 * (Number(response.headers.get("Retry-After")) || 1);
    }
    if (response.status === 401) this.refuse();
    throw new ApiError(response.status, errorOf(text));
  }
}

/** @param {string} text */
function errorOf(text) {
  try {
    return JSON.parse(text).error ?? {};
  } catch {
    return {};
  }
}
