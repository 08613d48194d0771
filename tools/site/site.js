// Names for what the theme leaves nameless: assistive technology reads them, and the keyboard scrolls wide tables.
const name = () => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  document.querySelectorAll(".md-code__nav").forEach((nav, index) => nav.setAttribute("aria-label", `Code ${index + 1}`));
  document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code").forEach((region, index) => {
    region.tabIndex = 0;
    if (region.matches(".md-typeset__scrollwrap")) {
      region.setAttribute("role", "region");
      region.setAttribute("aria-label", `Table ${index + 1}`);
    }
  });
};
// The theme puts its buttons in when it is ready, some time after the page.
let waiting = 0;
new MutationObserver(() => {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(name);
}).observe(document.body, { childList: true, subtree: true });
name();
