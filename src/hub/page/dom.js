// Finds and changes elements. Text of peers reaches the page only through `textContent` and form values here.

/**
 * Returns a copy of the element in the template `<id>-template`.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function clone(id) {
  const source = byId(`${id}-template`, HTMLTemplateElement).content.firstElementChild;
  return /** @type {HTMLElement} */ (document.importNode(/** @type {Element} */ (source), true));
}

/**
 * Returns the element with this id.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`no ${kind.name} #${id}`);
  return found;
}

/**
 * Returns the element of a copied template that is marked `data-part`.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {ParentNode} root
 * @param {string} name
 * @param {new () => T} [kind]
 * @returns {T}
 */
export function part(root, name, kind) {
  const found = root.querySelector(`[data-part="${name}"]`);
  if (!(found instanceof (kind ?? HTMLElement))) throw new Error(`no part ${name}`);
  return /** @type {T} */ (found);
}

/**
 * Sets a text if it differs, so that a selection survives an update.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * @param {ParentNode} root
 * @param {string} name
 * @param {string | null | undefined} text
 */
export function setPart(root, name, text) {
  const element = part(root, name);
  setText(element, text ?? "");
  element.hidden = !text;
}

/**
 * Sets an attribute, or removes it for `null`, if it differs.
 * @param {Element} element
 * @param {string} name
 * @param {string | null} value
 */
export function setAttribute(element, name, value) {
  if (element.getAttribute(name) === value) return;
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}

/**
 * Returns a new element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {{className?: string, text?: string}} [properties]
 * @param {(Node | string)[]} [children]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, { className, text } = {}, children = []) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

/**
 * Returns a button.
 * @param {string} label
 * @param {() => unknown} action
 * @param {string} [className]
 */
export function button(label, action, className) {
  const made = element("button", { className, text: label });
  made.type = "button";
  made.addEventListener("click", action);
  return made;
}

/**
 * Returns the first line of a text, of at most `length` characters.
 * @param {string | null | undefined} text
 * @param {number} [length]
 */
export function excerpt(text, length = 240) {
  const line = (text ?? "").replace(/\s+/g, " ").trim();
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
}
