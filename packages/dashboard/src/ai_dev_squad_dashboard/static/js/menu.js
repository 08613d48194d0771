// A filter's menu: long lists get a field to find a name in.

const LONG = 10;

export function mount(menu) {
  const options = menu.querySelectorAll(".options > li");
  if (options.length <= LONG || menu.querySelector(".menu-find")) return;
  const find = document.createElement("input");
  find.type = "search";
  find.className = "menu-find";
  find.placeholder = "Find";
  find.setAttribute("aria-label", "Find in this list");
  find.oninput = () => {
    const text = find.value.trim().toLowerCase();
    for (const option of options) option.hidden = !option.textContent.toLowerCase().includes(text);
  };
  menu.querySelector(".menu-body").prepend(find);
  menu.addEventListener("toggle", () => menu.open && find.focus());
}
