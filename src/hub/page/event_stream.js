// Reads the event log of a mesh as it grows: server-sent events by `fetch`, since `EventSource` sends no key. Reconnects
// with growing pauses and continues behind the last event it has, so that none is missed and none comes twice.

/** The hub sends a comment every 15 s; a stream that is silent for longer is dead. */
const SILENCE_MS = 40_000;
const PAUSE_MAX_MS = 15_000;

/**
 * @typedef {object} StreamHandlers
 * @property {(event: import("./types.js").MeshEvent) => void} onEvent
 * @property {() => void} onGap runs when events are missing that the hub no longer has
 * @property {(state: StreamState) => void} onState
 */

/** @typedef {{live: true} | {live: false, retryAt: number | null}} StreamState */

export class EventStream {
  #path;
  #api;
  #handlers;
  #last;
  #failures = 0;
  /** @type {AbortController | null} */
  #connection = null;
  /** @type {(() => void) | null} */
  #wake = null;
  #stopped = false;

  /**
   * @param {import("./api.js").Api} api
   * @param {string} path
   * @param {number} last the number of the last event that is known
   * @param {StreamHandlers} handlers
   */
  constructor(api, path, last, handlers) {
    this.#api = api;
    this.#path = path;
    this.#last = last;
    this.#handlers = handlers;
    void this.#run();
  }

  stop() {
    this.#stopped = true;
    this.#connection?.abort();
    this.#wake?.();
  }

  /** Tries again now, if it waits. */
  retry() {
    this.#wake?.();
  }

  async #run() {
    while (!this.#stopped) {
      try {
        await this.#read();
      } catch {
        // Told by the state below.
      }
      if (this.#stopped) return;
      const pause = Math.min(PAUSE_MAX_MS, 250 * 2 ** this.#failures) * (0.5 + Math.random());
      this.#failures = Math.min(this.#failures + 1, 10);
      this.#handlers.onState({ live: false, retryAt: Date.now() + pause });
      await new Promise((/** @type {(value: void) => void} */ resolve) => {
        const timer = setTimeout(resolve, pause);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = null;
    }
  }

  async #read() {
    const connection = new AbortController();
    this.#connection = connection;
    let timer = setTimeout(() => connection.abort(), SILENCE_MS);
    try {
      const response = await fetch(this.#path, {
        headers: { ...this.#api.headers, Accept: "text/event-stream", "Last-Event-ID": String(this.#last) },
        signal: connection.signal, cache: "no-store", credentials: "omit",
      });
      if (response.status === 401) {
        this.stop();
        this.#api.refuse();
      }
      if (!response.ok || !response.body) throw new Error(`the hub answered ${response.status}`);
      this.#failures = 0;
      this.#handlers.onState({ live: true });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(() => connection.abort(), SILENCE_MS);
        const frames = (text + value).split(/\r?\n\r?\n/);
        text = frames.pop() ?? "";
        for (const frame of frames) this.#onFrame(frame);
      }
    } finally {
      clearTimeout(timer);
      connection.abort();
    }
  }

  /** @param {string} frame */
  #onFrame(frame) {
    let [type, data] = ["message", ""];
    for (const line of frame.split(/\r?\n/)) {
      const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
      if (field === "event" && value) type = value;
      if (field === "data") data += value;
    }
    if (data === "") return;
    const body = JSON.parse(data);
    if (type === "gap") {
      this.#handlers.onGap();
    } else if (typeof body.seq === "number" && body.seq > this.#last) {
      this.#last = body.seq;
      this.#handlers.onEvent(body);
    }
  }
}
