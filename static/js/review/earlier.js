// Earlier messages: a key goes to them, and there the keys that scroll do just that, instead of walking over steps or skipping.
const SCROLLING = new Set(["ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End", " "]);

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-reads]");
  if (opener) document.getElementById(opener.dataset.reads)?.focus();
});

window.addEventListener("keydown", (event) => {
  if (SCROLLING.has(event.key) && event.target.matches?.("[data-scrolls]")) event.stopImmediatePropagation();
}, { capture: true });
