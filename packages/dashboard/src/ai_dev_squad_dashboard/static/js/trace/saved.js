// Views of the list under names of the reader's own, kept in this browser only.

const STORED = "ai-dev-squad.views.traces";
const MOST = 30;

function read() {
  try {
    const views = JSON.parse(localStorage.getItem(STORED) ?? "[]");
    // Only addresses of this very page: what lies in the storage is no more trusted than any other text.
    return Array.isArray(views) ? views.filter((view) => typeof view?.name === "string" && /^\?[^#]*$|^$/.test(view?.search)) : [];
  } catch {
    return [];
  }
}

function write(views) {
  try {
    localStorage.setItem(STORED, JSON.stringify(views.slice(0, MOST)));
    return true;
  } catch {
    return false;
  }
}

function here() {
  const url = new URL(location.href);
  url.searchParams.delete("cursor");
  return url.search;
}

export function mount(menu) {
  const list = menu.querySelector("[data-list]");
  const field = menu.querySelector("[data-name]");
  menu.hidden = false;

  const show = () => {
    const views = read();
    list.replaceChildren(...views.map(item));
    menu.querySelector("[data-none]").hidden = views.length > 0;
  };

  const item = (view) => {
    const row = document.createElement("li");
    row.className = "saved-view";
    const link = document.createElement("a");
    link.href = `${location.pathname}${view.search}`;
    link.textContent = view.name;
    if (view.search === here()) link.setAttribute("aria-current", "true");
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "quiet";
    remove.textContent = "Remove";
    remove.setAttribute("aria-label", `Remove ${view.name}`);
    remove.addEventListener("click", () => {
      write(read().filter((other) => other.name !== view.name));
      show();
    });
    row.append(link, remove);
    return row;
  };

  const save = () => {
    const name = field.value.trim();
    if (!name) {
      field.focus();
      return;
    }
    write([{ name, search: here() }, ...read().filter((other) => other.name !== name)]);
    field.value = "";
    show();
  };

  menu.querySelector("[data-save]").onclick = save;
  // Enter saves the view; the form around it is for narrowing the list.
  field.onkeydown = (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    save();
  };
  show();
}
