// The page of one run: the tree on the left, the details of what is selected beside it.
//
// Listens to `key:next-row`, `key:next` and their opposites on #view; e and E go from error to error, z zooms to the selected operation.
// The URL follows the selection, so it can be shared; then `view:updated` tells the live connection.

import { Panel } from "./panel.js";
import { splitters } from "./splitter.js";
import { Tree } from "./tree.js";

const URL_WAIT_MS = 500;
const TICK_MS = 1000;
const FOLD_DEPTH = 2;
const pages = new WeakMap();

export function mount(element) {
  const page = pages.get(element);
  if (page) {
    page.refresh();
    return () => page.leave();
  }
  const fresh = new TracePage(element);
  pages.set(element, fresh);
  return () => fresh.leave();
}

class TracePage {
  constructor(element) {
    this.element = element;
    this.view = document.getElementById("view");
    this.panel = new Panel(element.querySelector("#span-pane"), element.dataset.traces.split(" "));
    const tree = element.querySelector("#tree");
    this.tree = new Tree(tree, element.querySelector("#tree-axis"), {
      icons: element.dataset.icons,
      url: element.dataset.url,
      href: (id) => this.href(id),
    });
    tree.addEventListener("tree:select", ({ detail }) => this.selected(detail));
    splitters(element, () => this.tree.schedule());
    this.listening = new AbortController();
    const { signal } = this.listening;
    for (const [action, by] of [["next-row", 1], ["next", 1], ["previous-row", -1], ["previous", -1]]) {
      this.view.addEventListener(`key:${action}`, (event) => this.moved(event, by), { signal });
    }
    this.view.addEventListener("click", (event) => this.jump(event), { signal });
    document.addEventListener("keydown", (event) => this.pressed(event), { signal });
    this.ticking = setInterval(() => document.hidden || this.tree.tick(), TICK_MS);
    this.refresh();
  }

  leave() {
    this.listening.abort();
    clearInterval(this.ticking);
    clearTimeout(this.urlSoon);
  }

  async refresh() {
    const { version, traces } = this.element.dataset;
    if (version === this.version || this.loading) return;
    this.loading = true;
    try {
      const before = this.tree.row;
      const first = this.version === undefined;
      const chosen = before?.span_id ?? this.element.dataset.selected;
      const view = await this.tree.rows.load(chosen ? { span: chosen } : {});
      this.version = version;
      this.panel.traces = traces.split(" ");
      this.tree.show(view, chosen);
      this.element.querySelector(".tree-tools").hidden = false;
      for (const button of this.element.querySelectorAll("[data-act$=error]")) button.hidden = !view.failures.length;
      if (first) this.start();
      else if (before?.status === "running" && this.tree.row?.status !== "running") this.panel.show(this.tree.row, { again: true });
    } catch (error) {
      console.warn("the tree could not be loaded", error); // what the server wrote stays
      this.version = version;
    } finally {
      this.loading = false;
    }
    if (this.element.dataset.version !== this.version) this.refresh();
  }

  /** Where the reader begins: at what is selected, or at the place that the address names. */
  start() {
    const cursor = new URLSearchParams(location.search).get("cursor");
    if (cursor && !this.element.dataset.selected) this.tree.select(Number(cursor));
    else this.tree.intoView();
    this.tree.draw();
  }

  href(id) {
    const url = new URL(location.href);
    url.searchParams.set("span", id);
    url.searchParams.delete("cursor");
    return url.pathname + url.search;
  }

  selected({ row, focus }) {
    this.panel.show(row, { focus });
    clearTimeout(this.urlSoon);
    this.urlSoon = setTimeout(() => {
      history.replaceState(history.state, "", this.href(row.span_id));
      this.view.dispatchEvent(new CustomEvent("view:updated", { bubbles: true }));
    }, URL_WAIT_MS);
  }

  moved(event, step) {
    if (!this.tree.view) return;
    event.preventDefault();
    this.tree.move(step);
  }

  jump(event) {
    const action = event.target.closest("[data-act]")?.dataset.act;
    if (action) {
      this.act(action, event.target.closest("[data-act]"));
      return;
    }
    const link = event.target.closest("[data-go]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || !this.tree.view) return;
    event.preventDefault();
    this.element.scrollIntoView({ block: "nearest" });
    // What is no row of the tree, and what cannot be found now, has a page to go to.
    const leave = () => location.assign(link.getAttribute("href"));
    this.tree.selectId(link.dataset.go).then((found) => found || leave(), leave);
  }

  act(action, button) {
    const acts = {
      "next-error": () => this.tree.failure(1),
      "previous-error": () => this.tree.failure(-1),
      fold: () => this.tree.foldFrom(FOLD_DEPTH),
      unfold: () => this.tree.foldFrom(Infinity),
      zoom: () => {
        this.tree.zoom(!this.tree.zoomed);
        button.setAttribute("aria-pressed", this.tree.zoomed);
      },
    };
    acts[action]?.();
  }

  pressed(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !this.tree.view) return;
    if (event.target.closest("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]")) return;
    const keys = { e: "next-error", E: "previous-error", z: "zoom" };
    const action = keys[event.key];
    if (!action) return;
    event.preventDefault();
    this.act(action, this.element.querySelector(`[data-act=${action}]`));
  }
}
