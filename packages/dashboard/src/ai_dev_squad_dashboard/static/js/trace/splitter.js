// Widths that the reader drags: of the tree beside the details, and of the time line in the tree. Kept in this browser.

const STORED = "ai-dev-squad.trace.widths";
const STEP = 2;
const SPLITS = {
  panes: { property: "--tree-share", usual: 60, least: 25, most: 80, share: (x, box) => (100 * (x - box.left)) / box.width },
  line: { property: "--line-share", usual: 34, least: 8, most: 70, share: (x, box) => (100 * (box.right - x)) / box.width },
};

function read() {
  try {
    return JSON.parse(localStorage.getItem(STORED) ?? "{}") ?? {};
  } catch {
    return {};
  }
}

function write(name, share) {
  try {
    localStorage.setItem(STORED, JSON.stringify({ ...read(), [name]: share }));
  } catch {
    // A browser that keeps nothing has the usual widths next time.
  }
}

/** Makes every splitter in `body` work; `changed` is called as widths change. */
export function splitters(body, changed) {
  for (const bar of body.querySelectorAll("[data-splits]")) {
    const split = SPLITS[bar.dataset.splits];
    const owner = bar.parentElement;
    const now = () => Number(bar.getAttribute("aria-valuenow"));

    const set = (share, keep = true) => {
      const value = Math.round(Math.min(Math.max(share, split.least), split.most));
      // On the root, for what the page is updated with has no widths.
      document.documentElement.style.setProperty(split.property, value);
      bar.setAttribute("aria-valuenow", value);
      if (keep) write(bar.dataset.splits, value);
      changed();
    };

    bar.setAttribute("aria-valuemin", split.least);
    bar.setAttribute("aria-valuemax", split.most);
    bar.title = "Drag, or use the arrow keys; a double click sets the usual width";
    bar.hidden = false;
    const stored = read()[bar.dataset.splits];
    set(Number.isFinite(stored) ? stored : split.usual, false);

    bar.onpointerdown = (event) => {
      event.preventDefault();
      bar.setPointerCapture(event.pointerId);
      bar.classList.add("is-dragged");
    };
    bar.onpointermove = (event) => {
      if (bar.hasPointerCapture(event.pointerId)) set(split.share(event.clientX, owner.getBoundingClientRect()));
    };
    bar.onpointerup = () => bar.classList.remove("is-dragged");
    bar.ondblclick = () => set(split.usual);
    bar.onkeydown = (event) => {
      const steps = { ArrowLeft: -STEP, ArrowRight: STEP };
      if (!(event.key in steps)) return;
      event.preventDefault();
      event.stopPropagation();
      // To the right makes the tree wider, and the time line narrower.
      set(now() + (bar.dataset.splits === "line" ? -1 : 1) * steps[event.key]);
    };
  }
}
