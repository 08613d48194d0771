// Everything by keyboard. Which keys there are stands in the help dialog (templates/_help.html), so that help and behaviour cannot
// differ; here is what each action does.
//
// Keys are left alone while a field has the focus, while a dialog is open, together with Ctrl, Alt or Meta, and while an input method
// composes. Rows are links, buttons and summaries: j and k move the real focus, so Enter and screen readers work as always.
//
// A page may answer itself: `key:<action>` is dispatched on #view first, and who calls preventDefault() on it has handled it.

const OFF = "keys-off";
const SEQUENCE_MS = 1_200;
const ROWS = "#view [data-row], #view tbody tr";
const STOP = "summary, a[href], button";
const FIELD = "input:not([type=checkbox], [type=radio], [type=button], [type=submit]), textarea, select, [contenteditable=true]";

let shortcuts = [];
let typed = [];
let typedAt = 0;

const ACTIONS = {
  find: () => focusOn(document.getElementById("search")),
  search: () => focusOn(document.querySelector("#view [data-search]") ?? document.getElementById("search")),
  "next-row": () => move(1),
  "previous-row": () => move(-1),
  open: () => false, // the focused link, button or summary does it
  next: () => press("#view a[rel~=next]"),
  previous: () => press("#view a[rel~=prev]"),
  pause: () => document.dispatchEvent(new CustomEvent("live:toggle")),
  theme: () => press("#theme"),
  help: () => showHelp(),
  escape: () => leaveField(),
  go: ({ keys }) => press(`nav a[data-key="${keys[1]}"]`),
};

export function start() {
  const dialog = help();
  if (!dialog) return;
  shortcuts = [...dialog.querySelectorAll("[data-action]")].map(({ dataset }) => ({ keys: dataset.keys.split(" "), action: dataset.action }));
  const box = dialog.querySelector("#keys-on");
  box.checked = !off();
  box.addEventListener("change", () => remember(!box.checked));
  // A click beside the dialog is one on its backdrop.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.getElementById("help-open")?.addEventListener("click", showHelp);
  document.addEventListener("keydown", pressed);
}

function pressed(event) {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  const leaving = event.key === "Escape";
  if (!leaving && (event.target.closest?.(FIELD) || document.querySelector("dialog[open]"))) return;
  if (off() && !leaving && event.key !== "?") return;
  typed = event.timeStamp - typedAt < SEQUENCE_MS ? [...typed.slice(-1), event.key] : [event.key];
  typedAt = event.timeStamp;
  const found = shortcuts.findLast(({ keys }) => keys.join(" ") === typed.slice(-keys.length).join(" "));
  if (!found) return;
  typed = [];
  const own = new CustomEvent(`key:${found.action}`, { cancelable: true });
  const handled = document.getElementById("view")?.dispatchEvent(own) === false;
  if (handled || ACTIONS[found.action]?.(found)) event.preventDefault();
}

function move(step) {
  const rows = [...document.querySelectorAll(ROWS)].map((row) => [row, row.matches(STOP) ? row : row.querySelector(STOP)]);
  const stops = rows.filter(([, stop]) => stop?.getClientRects().length);
  if (stops.length === 0) return false;
  const at = stops.findIndex(([row]) => row.contains(document.activeElement));
  const next = at < 0 ? (step > 0 ? 0 : stops.length - 1) : at + step;
  return focusOn(stops[Math.min(stops.length - 1, Math.max(0, next))][1]);
}

function focusOn(element) {
  if (!element) return false;
  element.focus({ focusVisible: true });
  element.select?.();
  element.scrollIntoView({ block: "nearest" });
  return true;
}

function press(selector) {
  const element = document.querySelector(selector);
  element?.click();
  return Boolean(element);
}

function leaveField() {
  const field = document.activeElement?.closest?.(FIELD);
  field?.blur();
  return Boolean(field);
}

function help() {
  return document.getElementById("keyboard-help");
}

function showHelp() {
  if (!help().open) help().showModal();
  return true;
}

// Without storage the choice holds for this page.
let offHere = false;

function off() {
  try {
    return localStorage.getItem(OFF) !== null;
  } catch {
    return offHere;
  }
}

function remember(isOff) {
  offHere = isOff;
  try {
    if (isOff) localStorage.setItem(OFF, "1");
    else localStorage.removeItem(OFF);
  } catch {
    // see above
  }
}
