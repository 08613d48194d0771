// Replaces what <main id="view"> shows by newer HTML and keeps what belongs to the reader: focus, scroll position, open
// <details>, what was typed and not sent, and every element with an id and `data-keep`.
//
// Dispatches `view:updated` on #view afterwards; modules set themselves up again on it, idempotently.

import { Idiomorph } from "../vendor/idiomorph.js";

const KEPT_ATTRIBUTES = { DETAILS: ["open"], DIALOG: ["open"] };

export function morphView(view, html) {
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  nameRows(fresh.content);
  nameRows(view);
  Idiomorph.morph(view, [...fresh.content.childNodes], {
    morphStyle: "innerHTML",
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

// A row is the same row when it leads to the same place: without a name of its own it would become its neighbour when a new one
// comes in above, and the focus with it.
function nameRows(root) {
  const taken = new Set();
  for (const row of root.querySelectorAll("tbody > tr:not([id]), [data-row]:not([id])")) {
    const link = row.querySelector("a[href]")?.getAttribute("href");
    if (!link || taken.has(link)) continue;
    taken.add(link);
    row.id = `row:${encodeURIComponent(link)}`;
  }
}

// True while the reader has marked text in `view`: changing it now would take that away.
export function isReading(view) {
  const selection = document.getSelection();
  return Boolean(selection && !selection.isCollapsed && selection.containsNode(view, true));
}

function isKept(element) {
  return element.hasAttribute("data-keep") && element.id !== "";
}

// What has the focus is being typed in, even when it has not changed yet.
function isTyped(element) {
  if (element instanceof HTMLInputElement) {
    if (element.type === "hidden") return false;
    if (["checkbox", "radio"].includes(element.type)) return element.checked !== element.defaultChecked;
    return element === document.activeElement || element.value !== element.defaultValue;
  }
  if (element instanceof HTMLTextAreaElement) return element === document.activeElement || element.value !== element.defaultValue;
  return element instanceof HTMLSelectElement && element === document.activeElement;
}
