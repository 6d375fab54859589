// A small dialog that asks the person for a text, a choice, or a confirmation.
import { button, byId, setText } from "./dom.js";

/**
 * Asks for a confirmation; with `label` also for a text. Returns the text (empty without `label`), or `null` if cancelled.
 * @param {{title: string, text?: string, label?: string, confirm: string}} options
 * @returns {Promise<string | null>}
 */
export function ask({ title, text = "", label, confirm }) {
  return choose({ title, text, label, choices: [{ label: confirm, value: "" }] }).then((chosen) => chosen && chosen.text);
}

/**
 * Asks for one of several choices.
 * @template T
 * @param {{title: string, text?: string, label?: string, choices: {label: string, value: T}[]}} options
 * @returns {Promise<{value: T, text: string} | null>}
 */
export function choose({ title, text = "", label, choices }) {
  const dialog = byId("prompt", HTMLDialogElement);
  const field = byId("prompt-input", HTMLTextAreaElement);
  const row = byId("prompt-field", HTMLLabelElement);
  setText(byId("prompt-title", HTMLHeadingElement), title);
  setText(byId("prompt-text", HTMLParagraphElement), text);
  row.hidden = label === undefined;
  setText(byId("prompt-label", HTMLSpanElement), label ?? "");
  field.value = "";
  return new Promise((resolve) => {
    /** @type {{value: T, text: string} | null} */
    let chosen = null;
    const buttons = choices.map(({ label: name, value }, index) =>
      button(name, () => {
        if (label !== undefined && field.value.trim() === "") return field.focus();
        chosen = { value, text: field.value.trim() };
        dialog.close();
      }, index === 0 ? "primary" : ""));
    byId("prompt-buttons", HTMLDivElement).replaceChildren(...buttons, button("Cancel", () => dialog.close()));
    field.onkeydown = (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) buttons[0]?.click();
    };
    dialog.addEventListener("close", () => resolve(chosen), { once: true });
    dialog.showModal();
    (label === undefined ? buttons[0] : field)?.focus();
  });
}

/** How long quiet and pause can be. @type {{label: string, value: number | null}[]} */
export const SPANS = [
  { label: "30 minutes", value: 1800 }, { label: "2 hours", value: 7200 }, { label: "Until I end it", value: null },
];
