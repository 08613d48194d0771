// Replaces what <main id="view"> shows by newer HTML and keeps what belongs to the reader: focus, scroll position, open
// <details>, what was typed and not sent, and every element with an id and `data-keep`.
//
// Dispatches `view:updated` on #view afterwards; modules set themselves up again on it, idempotently.

import { Idiomorph } from "../vendor/idiomorph.js";

const KEPT_ATTRIBUTES = { DETAILS: ["open"], DIALOG: ["open"] };

export function morphView(view, html) {
  Idiomorph.morph(view, html, {
    morphStyle: "innerHTML",
    ignoreActiveValue: true,
    restoreFocus: true,
    callbacks: {
      beforeNodeMorphed: (old) => !(old instanceof Element && (isKept(old) || isTyped(old))),
      beforeNodeRemoved: (old) => !(old instanceof Element && isKept(old)),
      // No style comes from the server: its security policy forbids that. What is there was set by a script.
      beforeAttributeUpdated: (name, node) => name !== "style" && !KEPT_ATTRIBUTES[node.tagName]?.includes(name),
    },
  });
  view.dispatchEvent(new CustomEvent("view:updated", { bubbles: true }));
}

// True while the reader has marked text in `view`: changing it now would take that away.
export function isReading(view) {
  const selection = document.getSelection();
  return Boolean(selection && !selection.isCollapsed && selection.containsNode(view, true));
}

function isKept(element) {
  return element.hasAttribute("data-keep") && element.id !== "";
}

function isTyped(element) {
  if (element instanceof HTMLInputElement) {
    return ["checkbox", "radio"].includes(element.type)
      ? element.checked !== element.defaultChecked
      : element.type !== "hidden" && element.value !== element.defaultValue;
  }
  if (element instanceof HTMLTextAreaElement) return element.value !== element.defaultValue;
  if (element instanceof HTMLSelectElement) {
    return [...element.options].some((option) => option.selected !== option.defaultSelected) && element === document.activeElement;
  }
  return false;
}
