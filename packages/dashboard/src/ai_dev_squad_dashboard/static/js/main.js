// The entry: gives life to every element that names a module, now and after each live update.
//
// <section data-module="traces/tree">  imports  ./traces/tree.js  and calls its  mount(element)
//
// `mount` may be called again for the same element after `view:updated`, so it starts with what is there and not with
// what it did before. It may return a function, which is called when the element has left the page.

import { showTimes } from "./times.js";

const NAME = /^[a-z][a-z0-9-]*(\/[a-z][a-z0-9-]*)*$/;
const mounted = new Map();

async function mount(element) {
  const name = element.dataset.module;
  // Only what the server wrote as a name of ours: never a path that text in a page could choose.
  if (!NAME.test(name)) return;
  try {
    const module = await import(`./${name}.js`);
    if (!element.isConnected) return;
    const undo = module.mount(element);
    if (typeof undo === "function") mounted.set(element, undo);
  } catch (error) {
    // One part that fails leaves the page as the server wrote it.
    console.error(`module ${name} failed`, error);
  }
}

function leave() {
  for (const [element, undo] of mounted) {
    if (element.isConnected) continue;
    mounted.delete(element);
    undo();
  }
}

export function mountAll(root = document) {
  leave();
  showTimes(root);
  return Promise.all([...root.querySelectorAll("[data-module]")].map(mount));
}

document.addEventListener("view:updated", (event) => mountAll(event.target));
const mounting = mountAll();

// On a narrow screen the navigation scrolls, and where one is should be seen.
const here = document.querySelector(".nav [aria-current]");
if (here) here.parentElement.scrollLeft = here.offsetLeft - here.parentElement.clientWidth / 2 + here.offsetWidth / 2;

// A menu closes when something else is meant.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// Live updates and the keyboard are not needed to read a page.
const starting = ["live", "keyboard"].map((name) =>
  import(`./${name}.js`)
    .then((module) => module.start?.())
    .catch((error) => console.error(`module ${name} failed`, error)),
);

// Whoever drives the page from outside sees from when on a click or a key does something.
Promise.all([mounting, ...starting]).then(() => (document.documentElement.dataset.ready = "on"));
