// <windowed-list>: a list box of any length that has elements only for the rows in view. All rows have one height, the
// CSS length `--row`, so nothing jumps while it scrolls.
import { setAttribute } from "./dom.js";

const OVERSCAN = 6;
let lists = 0;

/**
 * @template T
 * @typedef {object} RowRenderer
 * @property {(item: T) => string} key
 * @property {() => HTMLElement} create
 * @property {(row: HTMLElement, item: T) => void} update
 * @property {(item: T) => void} [open] runs for Enter and a click
 * @property {(item: T, event: KeyboardEvent) => boolean} [onKey] returns whether it took the key
 */

/** @template T */
export class WindowedList extends HTMLElement {
  /** @type {T[]} */
  #items = [];
  /** @type {Map<string, HTMLElement>} */
  #rows = new Map();
  /** @type {RowRenderer<T> | null} */
  #renderer = null;
  /** @type {string | null} */
  #active = null;
  /** @type {string | null} */
  #anchor = null;
  #sizer = document.createElement("div");
  #prefix = `row${lists++}`;
  #scheduled = false;
  #resize = new ResizeObserver(() => this.#schedule());

  connectedCallback() {
    setAttribute(this, "role", "listbox");
    this.tabIndex = 0;
    this.#sizer.className = "sizer";
    this.#sizer.setAttribute("role", "presentation");
    this.append(this.#sizer);
    this.#resize.observe(this);
    this.addEventListener("scroll", () => this.#schedule(), { passive: true });
    this.addEventListener("keydown", (event) => this.#onKey(event));
    this.addEventListener("click", (event) => this.#onClick(event));
    this.addEventListener("focus", () => {
      if (this.#activeIndex() < 0) this.activate(Math.max(0, Math.ceil(this.scrollTop / this.#rowHeight())), false);
    });
  }

  disconnectedCallback() {
    this.#resize.disconnect();
  }

  /** @param {RowRenderer<T>} renderer */
  set renderer(renderer) {
    this.#renderer = renderer;
  }

  get items() {
    return this.#items;
  }

  /** Shows these items. The first row in view stays where it is, unless it is the first of the list. */
  set items(items) {
    const offset = this.scrollTop % this.#rowHeight();
    const activeAt = this.#activeIndex();
    this.#items = items;
    // The row in the place of an active one that has gone is the active one.
    const successor = items[Math.min(activeAt, items.length - 1)];
    if (activeAt >= 0 && this.#activeIndex() < 0) this.#active = successor === undefined ? null : this.#key(successor);
    if (this.scrollTop > 0 && this.#anchor !== null) {
      const at = items.findIndex((item) => this.#key(item) === this.#anchor);
      if (at >= 0) {
        this.#setHeight();
        this.scrollTo({ top: at * this.#rowHeight() + offset });
      }
    }
    this.#render();
  }

  get activeItem() {
    return this.#items[this.#activeIndex()] ?? null;
  }

  /**
   * Makes a row the active one and scrolls it into view.
   * @param {number} index
   * @param {boolean} [scroll]
   */
  activate(index, scroll = true) {
    const at = Math.min(Math.max(index, 0), this.#items.length - 1);
    this.#active = at < 0 ? null : this.#key(/** @type {T} */ (this.#items[at]));
    const row = this.#rowHeight();
    if (scroll && at >= 0) {
      if (at * row < this.scrollTop) this.scrollTo({ top: at * row });
      const bottom = (at + 1) * row - this.clientHeight;
      if (bottom > this.scrollTop) this.scrollTo({ top: bottom });
    }
    this.#render();
  }

  /** @param {string} key */
  activateKey(key) {
    const at = this.#items.findIndex((item) => this.#key(item) === key);
    if (at >= 0) this.activate(at);
    return at >= 0;
  }

  /** @param {T} item */
  #key(item) {
    return this.#renderer?.key(item) ?? "";
  }

  #activeIndex() {
    return this.#active === null ? -1 : this.#items.findIndex((item) => this.#key(item) === this.#active);
  }

  #rowHeight() {
    return parseFloat(getComputedStyle(this).getPropertyValue("--row")) || 24;
  }

  #setHeight() {
    this.#sizer.style.height = `${this.#items.length * this.#rowHeight()}px`;
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#render();
    });
  }

  #render() {
    const renderer = this.#renderer;
    if (!renderer) return;
    const height = this.#rowHeight();
    this.#setHeight();
    const first = Math.max(0, Math.floor(this.scrollTop / height) - OVERSCAN);
    const last = Math.min(this.#items.length, Math.ceil((this.scrollTop + this.clientHeight) / height) + OVERSCAN);
    const top = this.#items[Math.floor(this.scrollTop / height)];
    this.#anchor = top === undefined ? null : this.#key(top);
    /** @type {Map<string, HTMLElement>} */
    const visible = new Map();
    for (let at = first; at < last; at += 1) {
      const item = /** @type {T} */ (this.#items[at]);
      const key = this.#key(item);
      const row = this.#rows.get(key) ?? this.#create(renderer, key);
      renderer.update(row, item);
      row.style.transform = `translateY(${at * height}px)`;
      setAttribute(row, "aria-posinset", String(at + 1));
      setAttribute(row, "aria-setsize", String(this.#items.length));
      setAttribute(row, "aria-selected", String(key === this.#active));
      visible.set(key, row);
    }
    for (const [key, row] of this.#rows) {
      if (!visible.has(key)) row.remove();
    }
    this.#rows = visible;
    // A screen reader reads the rows in the order of the document.
    let next = this.#sizer.firstElementChild;
    for (const row of visible.values()) {
      if (row === next) next = next.nextElementSibling;
      else this.#sizer.insertBefore(row, next);
    }
    const active = this.#active === null ? undefined : visible.get(this.#active);
    setAttribute(this, "aria-activedescendant", active ? active.id : null);
    // Without a row that can be reached there is nothing to focus but the empty list itself.
    this.toggleAttribute("data-empty", this.#items.length === 0);
  }

  /**
   * @param {RowRenderer<T>} renderer
   * @param {string} key
   */
  #create(renderer, key) {
    const row = renderer.create();
    row.id = `${this.#prefix}-${key}`;
    row.dataset.key = key;
    row.setAttribute("role", "option");
    row.classList.add("row");
    return row;
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const item = this.activeItem;
    if (item !== null && this.#renderer?.onKey?.(item, event)) {
      event.preventDefault();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const at = this.#activeIndex();
    const page = Math.max(1, Math.floor(this.clientHeight / this.#rowHeight()) - 1);
    /** @type {Record<string, number>} */
    const targets = {
      ArrowDown: at + 1, j: at + 1, ArrowUp: at - 1, k: at - 1, PageDown: at + page, PageUp: at - page, Home: 0,
      End: this.#items.length - 1,
    };
    const target = targets[event.key];
    if (target !== undefined) this.activate(target);
    else if (event.key === "Enter" && item !== null) this.#renderer?.open?.(item);
    else return;
    event.preventDefault();
  }

  /** @param {MouseEvent} event */
  #onClick(event) {
    const row = event.target instanceof Element ? event.target.closest("[role=option]") : null;
    const key = row instanceof HTMLElement ? row.dataset.key : undefined;
    const at = this.#items.findIndex((item) => this.#key(item) === key);
    if (at < 0) return;
    this.activate(at, false);
    this.#renderer?.open?.(/** @type {T} */ (this.#items[at]));
  }
}

customElements.define("windowed-list", WindowedList);
