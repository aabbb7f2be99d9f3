// Adjudication: taking a side is one key and leads to the reason; a decision of one's own starts from the side that was taken before.
import { announce } from "../shell/announce.js";

const pane = () => document.querySelector("[data-adjudication]");
const side = (take) => document.querySelector(`[data-side="${take}"]`);
const fields = (name) => [...pane().querySelectorAll(`input[name="${name}"]`)];
let before = "";

function mark() {
  const taken = pane()?.querySelector('input[name="take"]:checked')?.value || "";
  for (const one of document.querySelectorAll("[data-side]")) one.classList.toggle("is-taken", one.dataset.side !== "" && one.dataset.side === taken);
  if (taken !== "own") before = taken;
}

function startFrom(column) {
  if (!column || fields("prompt_label").some((radio) => radio.checked)) return;
  const { promptLabel, responseLabel, categories } = column.dataset;
  for (const radio of fields("prompt_label")) radio.checked = radio.value === promptLabel;
  for (const radio of fields("response_label")) radio.checked = radio.value === responseLabel;
  for (const box of fields("categories")) box.checked = categories.split(" ").includes(box.value);
}

document.addEventListener("click", (event) => {
  const taker = event.target.closest("[data-take]");
  if (!taker) return;
  const radio = pane().querySelector(`input[name="take"][value="${taker.dataset.take}"]`);
  radio.checked = true;
  radio.dispatchEvent(new Event("change", { bubbles: true }));
  document.getElementById("why").focus();
  announce(`${pane().dataset.taken} ${radio.closest("label").textContent.trim()}`);
});
document.addEventListener("change", (event) => {
  if (event.target.name !== "take") return;
  if (event.target.value === "own") startFrom(side(before));
  mark();
});
document.addEventListener("htmx:afterSwap", mark);
mark();
