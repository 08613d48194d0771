// The rows of a tree by their places. A long run's are fetched as they come on screen, those asked for last first.

const MOST_AT_ONCE = 300; // the server takes 500
const MOST_KEPT = 20_000;

export class Rows {
  /** `arrived` is called when rows that were missing are there. */
  constructor(url, arrived) {
    this.url = url;
    this.arrived = arrived;
    this.known = new Map();
    this.places = new Map(); // span id → place
    this.generation = 0;
  }

  /** What the server sent of the tree as it is now: nothing of before holds any more. */
  use(view) {
    this.generation += 1;
    this.known = new Map();
    this.places = new Map();
    this.put(view);
  }

  put(view) {
    if (this.known.size > MOST_KEPT) {
      this.known.clear();
      this.places.clear();
    }
    view.rows.forEach((row, number) => {
      this.known.set(view.places[number], row);
      this.places.set(row.span_id, view.places[number]);
    });
  }

  get(place) {
    return this.known.get(place);
  }

  /** Fetch what is missing of these places. While something is under way only the last wish counts. */
  want(places) {
    const missing = places.filter((place) => !this.known.has(place)).slice(0, MOST_AT_ONCE);
    if (!missing.length) return;
    if (this.fetching) {
      this.wished = places;
      return;
    }
    this.wished = undefined;
    this.fetching = this.load({ places: missing.join(",") })
      .then((loaded) => loaded && this.arrived())
      .catch(() => {
        // What is missing stays so until the reader moves on, and is asked for again then.
      })
      .finally(() => {
        this.fetching = undefined;
        if (this.wished) this.want(this.wished);
      });
  }

  /** The place of an operation, also of one that has not been fetched. */
  async find(id) {
    if (this.places.has(id)) return this.places.get(id);
    const view = await this.load({ span: id, places: "0" });
    return view?.selected_at ?? undefined;
  }

  async load(wanted) {
    const { generation } = this;
    const url = new URL(this.url, location.href);
    for (const name of ["cursor", "limit", "span", "places"]) url.searchParams.delete(name);
    for (const [name, value] of Object.entries(wanted)) url.searchParams.set(name, value);
    const response = await fetch(url, { headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(`the dashboard answered ${response.status}`);
    const view = await response.json();
    if (wanted.places === undefined) return view;
    // The tree may have changed meanwhile, and the places with it.
    if (generation !== this.generation) return null;
    this.put(view);
    return view;
  }
}
