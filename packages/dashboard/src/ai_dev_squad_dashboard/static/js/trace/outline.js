// The shape of a tree, and which of its places are seen while some are folded. A place is that of a row among all rows in
// the order of the tree; `depths` say how deep each is, and nothing else has to be known of a row to fold, count and move.

export class Outline {
  constructor() {
    this.folded = new Set(); // places
    this.depths = [];
  }

  /** Another state of the same tree; `place(old)` says where a row is now, or undefined where that is not known. */
  use(depths, failed, place) {
    const folded = [...this.folded].map((old) => place(old) ?? (depths[old] === this.depths[old] ? old : undefined));
    this.depths = depths;
    this.failed = failed;
    this.measure();
    this.folded = new Set(folded.filter((at) => at !== undefined && this.below[at] > 0));
    this.refresh();
  }

  /** How many rows are below each, and what each stands below. */
  measure() {
    const { depths } = this;
    this.below = new Uint32Array(depths.length);
    this.parents = new Int32Array(depths.length).fill(-1);
    const open = [];
    const close = (end) => {
      const place = open.pop();
      this.below[place] = end - place - 1;
    };
    for (let place = 0; place < depths.length; place += 1) {
      while (open.length && depths[open.at(-1)] >= depths[place]) close(place);
      if (open.length) this.parents[place] = open.at(-1);
      open.push(place);
    }
    while (open.length) close(depths.length);
  }

  refresh() {
    this.visible = [];
    for (let place = 0; place < this.depths.length; place += 1) {
      this.visible.push(place);
      if (this.folded.has(place)) place += this.below[place];
    }
  }

  /** The position on screen of the row at `place`, or of the folded row that hides it. */
  position(place) {
    let low = 0;
    let high = this.visible.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.visible[middle] <= place) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  isFolded(place) {
    return this.folded.has(place);
  }

  fold(place, folded) {
    if (!this.below[place] || this.folded.has(place) === folded) return false;
    if (folded) this.folded.add(place);
    else this.folded.delete(place);
    this.refresh();
    return true;
  }

  /** Fold everything from a depth on; Infinity unfolds all. */
  foldFrom(depth) {
    this.folded = new Set();
    for (let place = 0; place < this.depths.length; place += 1) {
      if (this.below[place] && this.depths[place] >= depth) this.folded.add(place);
    }
    this.refresh();
  }

  /** Unfold whatever hides the row at `place`; says whether anything did. */
  reveal(place) {
    let hidden = false;
    for (let above = this.parents[place]; above >= 0; above = this.parents[above]) {
      hidden = this.folded.delete(above) || hidden;
    }
    if (hidden) this.refresh();
    return hidden;
  }

  /** The next row that failed, in a direction, around the end. */
  failure(from, step) {
    const { failed } = this;
    if (!failed.length) return null;
    if (step > 0) return failed.find((place) => place > from) ?? failed[0];
    return failed.findLast((place) => place < from) ?? failed.at(-1);
  }
}
