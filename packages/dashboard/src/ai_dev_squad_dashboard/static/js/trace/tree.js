// The tree with its time lines. Only the rows on screen are in the document, so a hundred thousand scroll like ten; what of
// them has not been sent is fetched as it comes on screen.
//
// Dispatches `tree:select` on its element, with {row, focus}; `focus` is true when the reader pressed Enter.

import { duration } from "./format.js";
import { Outline } from "./outline.js";
import { buildRow, buildUnknown } from "./row.js";
import { Rows } from "./rows.js";

const ROW_HEIGHT = 28; // --tree-row in trace.css
const SPARE_ROWS = 12;
const AHEAD_ROWS = 100; // fetched beyond the screen
const PAGE_ROWS = 15;

export class Tree {
  constructor(element, axis, { icons, href, url }) {
    this.element = element;
    this.axis = axis;
    this.options = { icons, href };
    this.rows = new Rows(url, () => this.arrived());
    this.outline = new Outline();
    this.selected = 0;
    this.zoomed = false;
    this.changes = 0; // of what rows say; what only moves is not built anew
    this.built = new Map();
    this.canvas = document.createElement("div");
    this.canvas.className = "tree-canvas";
    this.canvas.setAttribute("role", "none");
    element.addEventListener("scroll", () => this.schedule(), { passive: true });
    element.addEventListener("click", (event) => this.clicked(event));
    element.addEventListener("keydown", (event) => this.pressed(event));
    this.resized = new ResizeObserver(() => this.schedule());
    this.resized.observe(element);
  }

  /** Show a run; the first time instead of what the server wrote. */
  show(view, selectedId) {
    const before = this.rows.known;
    if (!this.view) {
      this.element.replaceChildren(this.canvas);
      this.element.classList.add("is-live");
    }
    this.view = view;
    this.changes += 1;
    this.rows.use(view);
    const depths = view.depths.length ? view.depths : view.rows.map((row) => row.depth);
    const failed = view.depths.length ? view.failed : view.places.filter((place) => view.rows[place].status === "error");
    this.outline.use(depths, failed, (old) => before.has(old) ? this.rows.places.get(before.get(old).span_id) : undefined);
    const place = view.selected_at ?? this.rows.places.get(selectedId) ?? this.selected;
    this.selected = Math.min(place, Math.max(depths.length - 1, 0));
    this.draw();
  }

  /** Undefined while it has not been fetched. */
  get row() {
    return this.view && this.rows.get(this.selected);
  }

  // What runs goes on running between two updates.
  tick() {
    if (!this.view?.running) return;
    const now = Date.now() * 1000;
    for (const row of this.rows.known.values()) {
      if (row.status !== "running") continue;
      row.duration_us = Math.max(now - row.start_us, row.duration_us);
      this.view.duration_us = Math.max(this.view.duration_us, row.at_us + row.duration_us);
    }
    this.changes += 1;
    this.draw();
  }

  span() {
    const { row } = this;
    if (this.zoomed && row?.duration_us) return { start: row.at_us, length: row.duration_us };
    return { start: 0, length: Math.max(this.view.duration_us, 1) };
  }

  zoom(on) {
    this.zoomed = on;
    this.draw();
  }

  foldFrom(depth) {
    this.outline.foldFrom(depth);
    this.changes += 1;
    this.select(this.outline.visible[this.outline.position(this.selected)], { focus: false });
  }

  select(place, { focus = false } = {}) {
    if (place === null || place === undefined || !(place in this.outline.depths)) return;
    this.selected = place;
    if (this.outline.reveal(place)) this.changes += 1;
    this.intoView();
    this.draw();
    this.telling = { focus };
    this.tell();
  }

  /** Say what is selected, as soon as it is known. */
  tell() {
    if (!this.telling || !this.row) return;
    const { focus } = this.telling;
    this.telling = undefined;
    this.element.dispatchEvent(new CustomEvent("tree:select", { detail: { row: this.row, focus } }));
  }

  arrived() {
    this.draw();
    this.tell();
  }

  /** Select an operation by its id; says whether the tree has it. */
  async selectId(id) {
    const place = await this.rows.find(id);
    this.select(place);
    return place !== undefined;
  }

  move(step) {
    const at = this.outline.position(this.selected) + step;
    this.select(this.outline.visible[Math.min(Math.max(at, 0), this.outline.visible.length - 1)]);
  }

  failure(step) {
    this.select(this.outline.failure(this.selected, step));
  }

  intoView() {
    const top = this.outline.position(this.selected) * ROW_HEIGHT;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + ROW_HEIGHT > scrollTop + clientHeight) this.element.scrollTop = top + ROW_HEIGHT - clientHeight;
  }

  schedule() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    const { outline, element, canvas } = this;
    if (!this.view || !outline.depths.length) return;
    // First, for it may make the tree higher, and then more rows are on screen.
    canvas.style.height = `${outline.visible.length * ROW_HEIGHT}px`;
    const top = Math.floor(element.scrollTop / ROW_HEIGHT);
    const bottom = Math.ceil((element.scrollTop + element.clientHeight) / ROW_HEIGHT);
    const first = Math.max(top - SPARE_ROWS, 0);
    const span = this.span();
    const drawn = `${span.start} ${span.length} ${this.changes}`;
    const before = drawn === this.drawn ? this.built : new Map();
    this.drawn = drawn;
    this.built = new Map();
    for (const place of outline.visible.slice(first, bottom + SPARE_ROWS)) {
      const known = before.get(place);
      const row = known && !(known.dataset.unknown && this.rows.get(place)) ? known : this.build(place, span);
      row.setAttribute("aria-selected", place === this.selected);
      this.built.set(place, row);
    }
    canvas.replaceChildren(...this.built.values());
    canvas.style.paddingTop = `${first * ROW_HEIGHT}px`;
    const active = this.built.get(this.selected);
    if (active) element.setAttribute("aria-activedescendant", active.id);
    else element.removeAttribute("aria-activedescendant");
    this.drawAxis(span);
    // What is on screen comes first, then what one scrolls to next.
    const ahead = outline.visible.slice(Math.max(top - AHEAD_ROWS, 0), bottom + AHEAD_ROWS);
    this.rows.want([this.selected, ...outline.visible.slice(first, bottom), ...ahead].filter((place, at, all) => all.indexOf(place) === at));
  }

  build(place, span) {
    const { icons, href } = this.options;
    const row = this.rows.get(place);
    const shape = { folded: this.outline.isFolded(place), below: this.outline.below[place], place };
    return row ? buildRow(row, { href: href(row.span_id), span, icons, ...shape }) : buildUnknown(this.outline.depths[place], shape);
  }

  drawAxis(span) {
    const marks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
      const mark = document.createElement("span");
      mark.textContent = duration(span.start + share * span.length);
      return mark;
    });
    this.axis.replaceChildren(...marks);
  }

  clicked(event) {
    if (!this.view) return; // what the server wrote are links that lead there as well
    const row = event.target.closest(".tree-row");
    if (!row || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    const place = Number(row.dataset.place);
    if (event.target.closest(".twisty[data-folded]")) {
      this.fold(place, !this.outline.isFolded(place));
      return;
    }
    this.element.focus({ preventScroll: true });
    this.select(place);
  }

  pressed(event) {
    if (!this.view || event.ctrlKey || event.metaKey || event.altKey) return;
    const { selected, outline } = this;
    const children = outline.below[selected] > 0;
    const parent = outline.parents[selected];
    const folded = outline.isFolded(selected);
    const keys = {
      ArrowDown: () => this.move(1),
      ArrowUp: () => this.move(-1),
      PageDown: () => this.move(PAGE_ROWS),
      PageUp: () => this.move(-PAGE_ROWS),
      Home: () => this.select(0),
      End: () => this.move(Infinity),
      ArrowRight: () => (children && folded ? this.fold(selected, false) : children && this.move(1)),
      ArrowLeft: () => (children && !folded ? this.fold(selected, true) : parent >= 0 && this.select(parent)),
      Enter: () => this.select(selected, { focus: true }),
      " ": () => this.select(selected, { focus: true }),
    };
    if (!(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  }

  fold(place, folded) {
    this.outline.fold(place, folded);
    this.changes += 1;
    this.draw();
  }
}
