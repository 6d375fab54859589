// Short notices at the bottom of the page, which a screen reader speaks.
import { button, byId, element } from "./dom.js";

const SHOWN_MS = 5000;
const ERROR_SHOWN_MS = 15_000;

/**
 * @param {string} text
 * @param {{detail?: string, isError?: boolean}} [options]
 */
export function notify(text, { detail = "", isError = false } = {}) {
  const notice = element("div", { className: "notice" }, [element("p", { text })]);
  if (detail) notice.append(element("p", { className: "dim", text: detail }));
  if (isError) notice.classList.add("error");
  const close = button("×", () => notice.remove(), "plain");
  close.setAttribute("aria-label", "Close this notice");
  notice.append(close);
  byId("notices", HTMLDivElement).append(notice);
  setTimeout(() => notice.remove(), isError ? ERROR_SHOWN_MS : SHOWN_MS);
}
