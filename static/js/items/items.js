// Choosing items of the list, and the blur of its tiles. The list is swapped by htmx: listen on the document.
import "../review/media.js";

const boxes = () => [...document.querySelectorAll('#items-table [name="item"]')];

function show() {
  const all = document.querySelector("[data-choose-all]");
  const chosen = boxes().filter((box) => box.checked).length;
  const count = document.querySelector("[data-chosen-count]");
  if (count) count.textContent = String(chosen);
  if (!all) return;
  all.checked = chosen > 0 && chosen === boxes().length;
  all.indeterminate = chosen > 0 && !all.checked;
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-choose-all]")) for (const box of boxes()) box.checked = event.target.checked;
  if (event.target.matches('[data-choose-all], #items-table [name="item"]')) show();
});
show();
