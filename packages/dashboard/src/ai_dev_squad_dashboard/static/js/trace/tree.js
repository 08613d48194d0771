// The tree with its time lines. Only the rows on screen are in the document, so ten thousand scroll like ten.
//
// Dispatches `tree:select` on its element, with {row, focus}; `focus` is true when the reader pressed Enter.

import { duration } from "./format.js";
import { Outline } from "./outline.js";
import { buildRow } from "./row.js";

const ROW_HEIGHT = 28; // --tree-row in trace.css
const SPARE_ROWS = 12;
const PAGE_ROWS = 15;

export class Tree {
  constructor(element, axis, { icons, href }) {
    this.element = element;
    this.axis = axis;
    this.options = { icons, href };
    this.selected = 0;
    this.zoomed = false;
    this.canvas = document.createElement("div");
    this.canvas.className = "tree-canvas";
    this.canvas.setAttribute("role", "none");
    element.addEventListener("scroll", () => this.schedule(), { passive: true });
    element.addEventListener("click", (event) => this.clicked(event));
    element.addEventListener("keydown", (event) => this.pressed(event));
    this.resized = new ResizeObserver(() => this.schedule());
    this.resized.observe(element);
  }

  /** Show rows; the first time instead of what the server wrote. */
  show(view, selectedId) {
    this.view = view;
    if (this.outline) this.outline.use(view.rows);
    else {
      this.outline = new Outline(view.rows);
      this.element.replaceChildren(this.canvas);
      this.element.classList.add("is-live");
    }
    this.selected = Math.min(this.outline.places.get(selectedId) ?? this.selected, Math.max(view.rows.length - 1, 0));
    this.draw();
  }

  get row() {
    return this.view?.rows[this.selected];
  }

  // What runs goes on running between two updates.
  tick() {
    const now = Date.now() * 1000;
    let running = false;
    for (const row of this.view?.rows ?? []) {
      if (row.status !== "running") continue;
      running = true;
      row.duration_us = Math.max(now - row.start_us, row.duration_us);
      this.view.duration_us = Math.max(this.view.duration_us, row.start_us + row.duration_us - this.view.start_us);
    }
    if (running) this.draw();
  }

  span() {
    const { row } = this;
    if (this.zoomed && row?.duration_us) return { start: row.start_us, length: row.duration_us };
    return { start: this.view.start_us, length: Math.max(this.view.duration_us, 1) };
  }

  zoom(on) {
    this.zoomed = on;
    this.draw();
  }

  fold(depth) {
    this.outline.foldFrom(depth);
    this.select(this.outline.visible[this.outline.position(this.selected)], { focus: false });
  }

  select(place, { focus = false, quiet = false } = {}) {
    if (place === null || place === undefined || !this.view.rows[place]) return;
    this.selected = place;
    this.outline.reveal(place);
    this.intoView();
    this.draw();
    if (!quiet) this.element.dispatchEvent(new CustomEvent("tree:select", { detail: { row: this.row, focus } }));
  }

  selectId(id) {
    const place = this.outline.places.get(id);
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
    if (!this.view?.rows.length) return;
    const { outline, element, canvas } = this;
    // First, for it may make the tree higher, and then more rows are on screen.
    canvas.style.height = `${outline.visible.length * ROW_HEIGHT}px`;
    const first = Math.max(Math.floor(element.scrollTop / ROW_HEIGHT) - SPARE_ROWS, 0);
    const last = Math.min(Math.ceil((element.scrollTop + element.clientHeight) / ROW_HEIGHT) + SPARE_ROWS, outline.visible.length);
    const span = this.span();
    const rows = outline.visible.slice(first, last).map((place) => {
      const row = this.view.rows[place];
      return buildRow(row, {
        href: this.options.href(row.span_id),
        span,
        folded: outline.isFolded(place),
        selected: place === this.selected,
        icons: this.options.icons,
      });
    });
    canvas.replaceChildren(...rows);
    canvas.style.paddingTop = `${first * ROW_HEIGHT}px`;
    const active = `row-${this.row.span_id}`;
    if (canvas.querySelector(`[id="${active}"]`)) element.setAttribute("aria-activedescendant", active);
    else element.removeAttribute("aria-activedescendant");
    this.drawAxis(span);
  }

  drawAxis(span) {
    const from = span.start - this.view.start_us;
    const marks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
      const mark = document.createElement("span");
      mark.textContent = duration(from + share * span.length);
      return mark;
    });
    this.axis.replaceChildren(...marks);
  }

  clicked(event) {
    const row = event.target.closest(".tree-row");
    if (!row || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    const place = this.outline.places.get(row.id.slice("row-".length));
    if (event.target.closest(".twisty[data-folded]")) {
      this.outline.fold(place, !this.outline.isFolded(place));
      this.draw();
      return;
    }
    this.element.focus({ preventScroll: true });
    this.select(place);
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.row) return;
    const { children, parent } = this.row;
    const folded = this.outline.isFolded(this.selected);
    const keys = {
      ArrowDown: () => this.move(1),
      ArrowUp: () => this.move(-1),
      PageDown: () => this.move(PAGE_ROWS),
      PageUp: () => this.move(-PAGE_ROWS),
      Home: () => this.select(0),
      End: () => this.move(Infinity),
      ArrowRight: () => (children && folded ? this.foldSelected(false) : children && this.move(1)),
      ArrowLeft: () => (children && !folded ? this.foldSelected(true) : this.select(parent)),
      Enter: () => this.select(this.selected, { focus: true }),
      " ": () => this.select(this.selected, { focus: true }),
    };
    if (!(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  }

  foldSelected(folded) {
    this.outline.fold(this.selected, folded);
    this.draw();
  }
}
