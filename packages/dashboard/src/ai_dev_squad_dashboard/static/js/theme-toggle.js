// The button that changes the theme: like the system, light, dark, and round again.

const ORDER = ["system", "light", "dark"];
const WORDS = { system: "like the system", light: "light", dark: "dark" };

function chosen() {
  return document.documentElement.dataset.theme ?? "system";
}

function show(button) {
  button.setAttribute("aria-label", `Theme: ${WORDS[chosen()]}`);
  button.title = `Theme: ${WORDS[chosen()]}`;
}

function choose(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    if (theme === "system") localStorage.removeItem("theme");
    else localStorage.setItem("theme", theme);
  } catch {
    // Without storage the choice holds for this page.
  }
  // Canvases hold pixels, not variables.
  document.dispatchEvent(new CustomEvent("theme:changed"));
}

export function mount(button) {
  show(button);
  button.onclick = () => {
    choose(ORDER[(ORDER.indexOf(chosen()) + 1) % ORDER.length]);
    show(button);
  };
}
