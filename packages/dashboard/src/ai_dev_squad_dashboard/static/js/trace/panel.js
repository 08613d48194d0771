// The details of an operation, rendered by the server and fetched as the reader moves from row to row.

import { mountAll } from "../main.js";

const WAIT_MS = 80;
const REMEMBERED = 50;

export class Panel {
  /** `traces`: those of the run, of which a row names one by its `part`. */
  constructor(element, traces) {
    this.element = element;
    this.traces = traces;
    this.remembered = new Map();
  }

  get shown() {
    return this.element.querySelector("[data-span-panel]")?.dataset.spanPanel;
  }

  /** Show a row's operation soon; a later call before that overtakes it. */
  show(row, { focus = false, again = false } = {}) {
    clearTimeout(this.waiting);
    this.fetching?.abort();
    if (this.shown === row.span_id && !again) {
      if (focus) this.focus();
      return;
    }
    const known = !again && this.remembered.get(row.span_id);
    if (known) this.put(known, focus);
    else this.waiting = setTimeout(() => this.load(row, focus), focus ? 0 : WAIT_MS);
  }

  async load(row, focus) {
    this.fetching = new AbortController();
    this.element.setAttribute("aria-busy", "true");
    try {
      const response = await fetch(`/traces/${this.traces[row.part]}/spans/${row.span_id}`, { headers: { Accept: "text/html" }, signal: this.fetching.signal });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const panel = page.querySelector("[data-span-panel]");
      if (!panel) throw new Error(`the dashboard answered ${response.status}`);
      if (row.status !== "running") this.remember(row.span_id, panel);
      this.put(panel, focus);
    } catch (error) {
      if (error.name !== "AbortError") this.fail(error);
    }
  }

  remember(id, panel) {
    this.remembered.set(id, panel);
    if (this.remembered.size > REMEMBERED) this.remembered.delete(this.remembered.keys().next().value);
  }

  put(panel, focus) {
    this.element.replaceChildren(panel.cloneNode(true));
    this.element.removeAttribute("aria-busy");
    this.element.scrollTop = 0;
    mountAll(this.element);
    if (focus) this.focus();
  }

  fail(error) {
    const note = document.createElement("p");
    note.className = "notice";
    note.textContent = `These details could not be loaded: ${error.message}. Choose the operation again to retry.`;
    this.element.replaceChildren(note);
    this.element.removeAttribute("aria-busy");
  }

  focus() {
    this.element.querySelector("h2")?.focus();
  }
}
