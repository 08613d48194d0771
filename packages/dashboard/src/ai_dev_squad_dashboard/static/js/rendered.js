// The switch between content as it is written and as Markdown shows it. Off until the reader wants it; this browser remembers it.
//
// What may be rendered has `data-content`, `json` or `text`. Its own element stays in the page, hidden, with what was captured. Where what
// is rendered is not what the element says, as with a picture, `data-markdown` has it.

const STORED = "ai-dev-squad.rendered";
const LABEL = "Rendered";

const known = new Map(); // text → fragment; live updates write the same texts again
const MOST_KNOWN = 200;

let chosen = false; // where the browser keeps nothing

const isOn = () => {
  try {
    return localStorage.getItem(STORED) === "on";
  } catch {
    return chosen;
  }
};

function keep(on) {
  chosen = on;
  try {
    localStorage.setItem(STORED, on ? "on" : "off");
  } catch {
    // A browser that keeps nothing shows the next page as written.
  }
}

async function fragmentOf(text, json) {
  const key = `${json} ${text}`;
  if (!known.has(key)) {
    const { render } = await import("./content/render.js");
    const fragment = await render(text, json);
    if (known.size > MOST_KNOWN) known.clear();
    known.set(key, fragment);
  }
  return known.get(key)?.cloneNode(true);
}

async function show(element) {
  let fragment;
  try {
    fragment = await fragmentOf(element.dataset.markdown ?? element.textContent, element.dataset.content === "json");
  } catch (error) {
    console.warn("content is shown as it is written", error);
  }
  // Meanwhile it may have gone, been shown by another switch, or the reader changed their mind.
  if (!fragment || !element.isConnected || !isOn() || element.nextElementSibling?.matches("[data-rendered]")) return;
  const box = document.createElement("div");
  box.className = "rendered";
  box.dataset.rendered = "";
  box.dir = "auto";
  box.append(fragment);
  element.hidden = true;
  element.after(box);
  if (box.scrollHeight > box.clientHeight || box.scrollWidth > box.clientWidth) {
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", element.getAttribute("aria-label") ?? LABEL);
  }
}

function apply() {
  const on = isOn();
  for (const button of document.querySelectorAll("[data-module=rendered]")) button.setAttribute("aria-pressed", on);
  for (const element of document.querySelectorAll("[data-content]")) {
    if (on) {
      if (!element.hidden) show(element);
    } else {
      element.hidden = false;
      if (element.nextElementSibling?.matches("[data-rendered]")) element.nextElementSibling.remove();
    }
  }
}

export function mount(button) {
  button.hidden = !document.querySelector("[data-content]");
  button.onclick = () => {
    keep(!isOn());
    apply();
  };
  apply();
}
