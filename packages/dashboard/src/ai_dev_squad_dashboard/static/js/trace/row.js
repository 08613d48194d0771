// One row of the tree. Everything in it comes from outside, so it is only ever set as text.

import { duration, line, money } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const KINDS = {
  invoke_workflow: "run", invoke_agent: "agent", task: "task", chat: "model", text_completion: "model",
  generate_content: "model", embeddings: "embed", execute_tool: "tool", retrieval: "search", plan: "plan", guardrail: "guard",
};
const SHAPES = { ok: "check", error: "error", running: "running", interrupted: "pause", handoff: "check" };
const WORDS = { closed_early: "closed early", handoff: "handed off" };
const DEEPEST = 8; // further in, a number says how deep: names need the room

function make(name, className, text) {
  const element = document.createElement(name);
  element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function draw(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function sign(status, icons) {
  const element = make("span", "sign");
  element.dataset.status = status;
  const icon = draw("svg", { class: "icon", width: 16, height: 16, "aria-hidden": "true" });
  icon.append(draw("use", { href: `${icons}#${SHAPES[status] ?? "stop"}` }));
  element.append(icon, make("span", "away", WORDS[status] ?? status));
  return element;
}

function lineOf(row, span) {
  const line = draw("svg", { class: "tree-line", "aria-hidden": "true" });
  const share = (us) => Math.min(Math.max((100 * us) / span.length, -1), 101);
  const left = share(row.at_us - span.start);
  const right = share(row.at_us + row.duration_us - span.start);
  if (right < 0 || left > 100) return line;
  const width = Math.max(right - left, 0.25);
  const place = { x: `${left}%`, y: 9, width: `${width}%`, height: 10, rx: 2 };
  line.append(draw("rect", { ...place, class: "line", "data-status": row.status, "data-kind": KINDS[row.operation] ?? "span" }));
  if (row.first_chunk_us) {
    line.append(draw("rect", { x: `${share(row.at_us + row.first_chunk_us - span.start)}%`, y: 9, width: 1.5, height: 10, class: "first-chunk" }));
  }
  return line;
}

/** `span` is the stretch of time on screen: {start, length} in microseconds. */
export function buildRow(row, { href, span, folded, below, place, icons }) {
  const element = make("a", `tree-row depth-${Math.min(row.depth, DEEPEST)}`);
  element.href = href;
  element.id = `row-${row.span_id}`;
  element.dataset.place = place;
  element.tabIndex = -1;
  element.setAttribute("role", "treeitem");
  element.setAttribute("aria-level", row.depth + 1);
  if (below) element.setAttribute("aria-expanded", !folded);
  element.classList.toggle("is-critical", row.critical_us > 0);
  element.classList.toggle("is-failed", row.status === "error");

  const name = make("span", "tree-name");
  const twisty = make("span", "twisty");
  if (below) twisty.dataset.folded = folded;
  const label = make("span", "tree-label");
  label.append(make("bdi", "", line(row.name)));
  if (row.agent && row.agent !== row.name) label.append(" ", make("bdi", "tree-agent", line(row.agent, 40)));
  const kind = make("span", "kind", KINDS[row.operation] ?? "span");
  kind.dataset.kind = kind.textContent;
  name.append(twisty, sign(row.status, icons), kind, label);
  if (row.depth > DEEPEST) name.insertBefore(make("span", "tree-depth", String(row.depth)), kind);
  if (row.attempt) name.append(make("span", "tree-mark", `try ${row.attempt}`));
  if (row.loop) name.append(make("span", "tree-mark", "loop"));
  if (row.skew_us) name.append(make("span", "tree-mark", `clock ${row.skew_us > 0 ? "ahead" : "behind"} ${duration(Math.abs(row.skew_us))}`));
  if (row.orphan) name.append(make("span", "tree-mark", "parent missing"));
  if (row.resumed_after_us !== null) {
    const mark = make("span", "tree-mark tree-part", "resumed");
    mark.title = `After ${duration(row.resumed_after_us)} of waiting`;
    name.append(mark);
  }
  if (folded && below) name.append(make("span", "tree-mark", `+${below}`));
  label.title = row.error_type ? `${row.name}: ${row.error_type} ${row.error_message ?? ""}` : row.name;

  const cost = make("span", "tree-cost", row.cost_usd ? money(row.cost_usd) : row.unpriced ? "unpriced" : "");
  const time = make("span", "tree-time", row.set_back_us ? "–" : duration(row.duration_us));
  element.append(name, cost, time, lineOf(row, span));
  return element;
}

/** A row of which nothing is known yet but where it stands. */
export function buildUnknown(depth, { folded, below, place }) {
  const element = make("a", `tree-row is-unknown depth-${Math.min(depth, DEEPEST)}`);
  element.id = `row-at-${place}`;
  element.dataset.place = place;
  element.dataset.unknown = "true";
  element.setAttribute("role", "treeitem");
  element.setAttribute("aria-level", depth + 1);
  if (below) element.setAttribute("aria-expanded", !folded);
  const name = make("span", "tree-name");
  name.append(make("span", "twisty"), make("span", "tree-label", "…"));
  element.append(name);
  return element;
}
