// Which rows of a tree are seen while some are folded. Rows stand in the order of the tree, each before those below it, of
// which `below` counts all.

export class Outline {
  constructor(rows) {
    this.folded = new Set();
    this.use(rows);
  }

  /** Other rows of the same tree: what was folded stays so. */
  use(rows) {
    this.rows = rows;
    this.places = new Map(rows.map((row, place) => [row.span_id, place]));
    this.refresh();
  }

  refresh() {
    this.visible = [];
    for (let place = 0; place < this.rows.length; place += 1) {
      this.visible.push(place);
      const row = this.rows[place];
      if (row.children && this.folded.has(row.span_id)) place += row.below;
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
    return this.folded.has(this.rows[place].span_id);
  }

  fold(place, folded) {
    const row = this.rows[place];
    if (!row.children || this.folded.has(row.span_id) === folded) return false;
    if (folded) this.folded.add(row.span_id);
    else this.folded.delete(row.span_id);
    this.refresh();
    return true;
  }

  /** Fold everything from a depth on; Infinity unfolds all. */
  foldFrom(depth) {
    this.folded = new Set(this.rows.filter((row) => row.children && row.depth >= depth).map((row) => row.span_id));
    this.refresh();
  }

  /** Unfold whatever hides the row at `place`. */
  reveal(place) {
    let hidden = false;
    for (let above = this.rows[place].parent; above !== null; above = this.rows[above].parent) {
      hidden = this.folded.delete(this.rows[above].span_id) || hidden;
    }
    if (hidden) this.refresh();
  }

  /** The next row that failed, in a direction, around the end. */
  failure(from, step) {
    const count = this.rows.length;
    for (let tried = 1; tried <= count; tried += 1) {
      const place = (((from + step * tried) % count) + count) % count;
      if (this.rows[place].status === "error") return place;
    }
    return null;
  }
}
