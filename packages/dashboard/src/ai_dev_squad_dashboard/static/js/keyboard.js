// Everything by keyboard. The table of keys is the server's (/api/help); here is only what each action does.
//
// Keys are left alone while a field has the focus, while a dialog is open, with Ctrl, Alt or Meta, and during input methods. Rows are
// links, buttons and summaries: j and k move the real focus, so Enter and screen readers work as they always do.
//
// Pages may answer themselves: `key:<action>` is dispatched on #view first, and what calls preventDefault() has handled it.

const OFF = "ai-dev-squad.keys-off";
const SEQUENCE_MS = 1_200;
const ROWS = "#view [data-row], #view tbody tr";
const ROW_FOCUS = "summary, a[href], button";

let shortcuts = [];
let typed = [];
let typedAt = 0;

export async function start() {
  document.addEventListener("keydown", pressed);
  document.addEventListener("click", (event) => event.target.closest?.("[data-help]") && (event.preventDefault(), showHelp()));
  const response = await fetch("/api/help", { headers: { Accept: "application/json" } });
  if (response.ok) shortcuts = (await response.json()).shortcuts;
}

const ACTIONS = {
  search: () => {
    const field = document.querySelector("#view input[type=search], [data-search]");
    field?.focus();
    field?.select?.();
    return Boolean(field);
  },
  "next-row": () => move(1),
  "previous-row": () => move(-1),
  open: () => false, // the focused link, button or summary does it
  next: () => click("#view a[rel~=next]"),
  previous: () => click("#view a[rel~=prev]"),
  pause: () => !document.dispatchEvent(new CustomEvent("live:toggle", { cancelable: true })) || true,
  theme: () => click("[data-theme-toggle]"),
  help: () => showHelp(),
  escape: () => {
    if (!isField(document.activeElement)) return false;
    document.activeElement.blur();
    return true;
  },
  go: (shortcut) => location.assign(document.querySelector(`nav a[data-page-key="${shortcut.keys[1]}"]`)?.href ?? shortcut.target) ?? true,
};

function pressed(event) {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (event.key !== "Escape" && (isField(event.target) || document.querySelector("dialog[open]"))) return;
  if (event.key !== "Escape" && event.key !== "?" && localStorage.getItem(OFF)) return;
  typed = event.timeStamp - typedAt < SEQUENCE_MS ? [...typed, event.key] : [event.key];
  typedAt = event.timeStamp;
  const found = shortcuts.find(({ keys }) => keys.length <= typed.length && keys.every((key, at) => key === typed[typed.length - keys.length + at]));
  if (!found) return;
  typed = [];
  const handled = !document.getElementById("view")?.dispatchEvent(new CustomEvent(`key:${found.action}`, { cancelable: true }));
  if (handled || ACTIONS[found.action]?.(found)) event.preventDefault();
}

function isField(element) {
  return Boolean(element?.closest?.("input:not([type=checkbox], [type=radio], [type=button], [type=submit]), textarea, select, [contenteditable=true]"));
}

function move(step) {
  const stops = [...document.querySelectorAll(ROWS)]
    .map((row) => (row.matches(ROW_FOCUS) ? row : row.querySelector(ROW_FOCUS)))
    .filter((stop) => stop && stop.getClientRects().length > 0);
  if (stops.length === 0) return false;
  const row = document.activeElement?.closest?.(ROWS);
  const at = row ? stops.findIndex((stop) => row.contains(stop)) : -1;
  const next = at < 0 ? (step > 0 ? 0 : stops.length - 1) : Math.min(stops.length - 1, Math.max(0, at + step));
  stops[next].focus();
  stops[next].scrollIntoView({ block: "nearest" });
  return true;
}

function click(selector) {
  const element = document.querySelector(selector);
  element?.click();
  return Boolean(element);
}

function showHelp() {
  const dialog = document.getElementById("keyboard-help") ?? document.body.appendChild(helpDialog());
  dialog.querySelector("tbody").replaceChildren(...shortcuts.map(row));
  dialog.querySelector("input").checked = !localStorage.getItem(OFF);
  if (!dialog.open) dialog.showModal();
  return true;
}

function helpDialog() {
  const dialog = make("dialog", { id: "keyboard-help", className: "keyboard-help" });
  dialog.setAttribute("aria-labelledby", "keyboard-help-title");
  const close = make("button", { type: "button", className: "dialog-close", textContent: "Close" });
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  const table = make("table", { className: "keys" }, make("tbody"));
  table.setAttribute("aria-labelledby", "keyboard-help-title");
  const box = make("input", { type: "checkbox" });
  box.addEventListener("change", () => (box.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1")));
  const note = make("p", { className: "keyboard-help-note" }, make("label", {}, box, " Single keys do this"), make("a", { href: "/help", textContent: "More help" }));
  const head = make("header", {}, make("h2", { id: "keyboard-help-title", textContent: "Keyboard" }), close);
  dialog.append(head, table, note);
  return dialog;
}

function row({ keys, does }) {
  const cell = make("th", { scope: "row" }, ...keys.flatMap((key, at) => [at ? " " : "", make("kbd", { textContent: key })]));
  return make("tr", {}, cell, make("td", { textContent: does }));
}

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}
