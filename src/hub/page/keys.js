// Keys of the whole page. They do nothing while the person types or a dialog is open.
import { byId } from "./dom.js";

/** @typedef {import("./compose.js").Compose} Compose */

/** Keys that go to a panel: to its list, or to its heading if the list is empty. @type {Record<string, string>} */
const PANELS = { n: "needs", s: "sessions", c: "conversation", l: "claims", t: "tasks", m: "memory", e: "events" };

/** @param {Compose} compose */
export function listenToKeys(compose) {
  const help = byId("keys", HTMLDialogElement);
  byId("help", HTMLButtonElement).addEventListener("click", () => help.showModal());
  byId("keys-close", HTMLButtonElement).addEventListener("click", () => help.close());
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    const panel = PANELS[event.key];
    if (event.key === "?") help.showModal();
    else if (event.key === "/") byId("memory-query", HTMLInputElement).focus();
    else if (event.key === "a") compose.show("ask");
    else if (event.key === "p") compose.show("post");
    else if (panel) focusPanel(panel);
    else return;
    event.preventDefault();
  });
}

/** @param {string} id */
export function focusPanel(id) {
  const panel = byId(id, HTMLElement);
  const targets = panel.querySelectorAll("windowed-list:not([data-empty]), textarea, li a, li button, h2");
  const target = [...targets].find((one) => one instanceof HTMLElement && one.tagName !== "H2") ?? panel.querySelector("h2");
  panel.scrollIntoView({ block: "nearest" });
  if (target instanceof HTMLElement) target.focus();
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof Element && target.closest("input:not([type=checkbox]), textarea, select") !== null;
}
