// Times as text: how long ago, how long until, how long something took. <live-time> counts by itself, once a second.
import { setText } from "./dom.js";

/** How far the clock of the hub is ahead of this one, in milliseconds. */
let clockOffset = 0;

/**
 * Learns the clock of the hub from a response. Its `Date` has seconds only, so small differences are none.
 * @param {string | null} date
 */
export function learnClock(date) {
  const offset = date ? Date.parse(date) - Date.now() : NaN;
  if (!Number.isNaN(offset)) clockOffset = Math.abs(offset) < 2500 ? 0 : offset;
}

export function now() {
  return Date.now() + clockOffset;
}

/**
 * Returns a duration in its largest unit, such as `14 s`, `3 min`, `2 h`; below 10 s with one decimal if `exact`.
 * @param {number} ms
 * @param {boolean} [exact]
 */
export function duration(ms, exact = false) {
  const seconds = Math.max(0, ms) / 1000;
  if (exact && seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

/**
 * Returns a countdown such as `1:05` or `2:10:00`.
 * @param {number} ms
 */
export function countdown(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/**
 * Returns the time of day, with the date if it is not today.
 * @param {string} at
 */
export function clock(at) {
  const time = new Date(at);
  const today = time.toDateString() === new Date(now()).toDateString();
  const text = time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  return today ? text : `${time.toLocaleDateString([], { month: "short", day: "numeric" })} ${text}`;
}

/** Counts since or until a time. */
export class LiveTime extends HTMLElement {
  /** @type {Set<LiveTime>} */
  static #all = new Set();
  #since = NaN;
  #until = NaN;

  connectedCallback() {
    if (LiveTime.#all.size === 0) setTimeout(LiveTime.#tick, 1000);
    LiveTime.#all.add(this);
    this.#show();
  }

  disconnectedCallback() {
    LiveTime.#all.delete(this);
  }

  /** @param {string | null | undefined} at */
  since(at) {
    this.#until = NaN;
    this.#since = at ? Date.parse(at) : NaN;
    this.#show();
  }

  /** @param {string | null | undefined} at */
  until(at) {
    this.#since = NaN;
    this.#until = at ? Date.parse(at) : NaN;
    this.#show();
  }

  static #tick() {
    for (const one of LiveTime.#all) one.#show();
    if (LiveTime.#all.size > 0) setTimeout(LiveTime.#tick, 1000 - (Date.now() % 1000));
  }

  #show() {
    let text = "";
    if (!Number.isNaN(this.#since)) text = duration(now() - this.#since);
    else if (this.#until - now() > 0) text = countdown(this.#until - now());
    else if (!Number.isNaN(this.#until)) text = "over";
    setText(this, text);
  }
}

customElements.define("live-time", LiveTime);
