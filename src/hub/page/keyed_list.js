// Renders a short list by key: elements of items that stay are kept, with their focus and what is typed in them.

/** @type {WeakMap<Element, Map<string, HTMLElement>>} */
const rendered = new WeakMap();

/**
 * @template T
 * @param {HTMLElement} container
 * @param {T[]} items
 * @param {{key: (item: T) => string, create: (item: T) => HTMLElement, update: (element: HTMLElement, item: T) => void}} render
 */
export function renderKeyed(container, items, { key, create, update }) {
  const before = rendered.get(container) ?? new Map();
  /** @type {Map<string, HTMLElement>} */
  const after = new Map();
  for (const item of items) {
    const id = key(item);
    if (after.has(id)) continue;
    const element = before.get(id) ?? create(item);
    update(element, item);
    after.set(id, element);
  }
  for (const [id, element] of before) {
    if (!after.has(id)) remove(container, element);
  }
  let next = container.firstElementChild;
  for (const element of after.values()) {
    if (element === next) next = next.nextElementSibling;
    else insert(container, element, next);
  }
  rendered.set(container, after);
}

/**
 * Removes an element; the focus goes to the list, not to the start of the page.
 * @param {HTMLElement} container
 * @param {HTMLElement} element
 */
function remove(container, element) {
  const hadFocus = element.contains(document.activeElement);
  element.remove();
  if (hadFocus) container.closest("section")?.querySelector("h2")?.focus();
}

/**
 * Inserts or moves an element. `moveBefore` keeps the focus where the browser has it.
 * @param {HTMLElement} container
 * @param {HTMLElement} element
 * @param {Element | null} next
 */
function insert(container, element, next) {
  const mover = /** @type {{moveBefore?: (node: Node, next: Node | null) => void}} */ (/** @type {unknown} */ (container));
  if (element.parentElement === container && mover.moveBefore) mover.moveBefore(element, next);
  else container.insertBefore(element, next);
}
