// The log's live tail: new lines come in at the top while the reader is there, and wait while they read further down.
//
// Listens for `live:lines` on #view (static/js/live.js). Waiting lines are counted on the button in #log-new; a bounded number of
// them is kept, and the list itself keeps the newest SHOWN lines.

import { isReading } from "./morph.js";
import { showTimes } from "./times.js";

const SHOWN = 1_000;
const WAITING = 500;

let waiting = [];
let skipped = 0;

export function mount(section) {
  const view = document.getElementById("view");
  if (view.dataset.tail === "on") return;
  view.dataset.tail = "on";
  view.addEventListener("live:lines", (event) => {
    if (!list()) return;
    event.preventDefault();
    take(event.detail.message);
    event.detail.acknowledge();
  });
  view.addEventListener("click", (event) => {
    if (!event.target.closest("#log-new button")) return;
    window.scrollTo({ top: 0 });
    flush();
  });
  window.addEventListener("scroll", () => atTop() && flush(), { passive: true });
  document.addEventListener("selectionchange", () => atTop() && flush());
}

function list() {
  return document.getElementById("log-lines");
}

// Somebody who scrolled down, opened a line, went to one by keyboard or marked text is reading.
function atTop() {
  const top = document.querySelector(".log")?.getBoundingClientRect().top ?? 0;
  return top > -40 && !list().querySelector("details[open]") && !list().contains(document.activeElement) && !isReading(list());
}

function take(message) {
  list().dataset.newest = message.newest ?? "";
  const template = document.createElement("template");
  template.innerHTML = message.html;
  const lines = [...template.content.children];
  if (message.skipped) {
    waiting = [];
    skipped += message.skipped;
  }
  waiting = [...lines, ...waiting];
  if (waiting.length > WAITING) {
    skipped += waiting.length - WAITING;
    waiting.length = WAITING;
  }
  if (atTop()) flush();
  else announce();
}

function flush() {
  if (waiting.length === 0) return;
  const lines = waiting;
  waiting = [];
  document.querySelector(".log-empty")?.remove();
  if (skipped) lines.push(gap(skipped));
  skipped = 0;
  for (const line of lines) line.classList.add("fresh");
  list().prepend(...lines);
  while (list().children.length > SHOWN) list().lastElementChild.remove();
  showTimes(list());
  announce();
}

function gap(count) {
  const line = document.createElement("li");
  line.className = "line skipped";
  line.textContent = `${count.toLocaleString("en")} lines are left out here: more came in than can be shown`;
  return line;
}

function announce() {
  const note = document.getElementById("log-new");
  if (!note) return;
  const count = waiting.length + skipped;
  note.hidden = count === 0;
  note.querySelector("button").textContent = `${count.toLocaleString("en")} new ${count === 1 ? "line" : "lines"}`;
}
