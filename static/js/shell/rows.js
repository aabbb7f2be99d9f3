// A list of form rows that grows and shrinks: [data-rows] holds a [data-rows-list], a template and an add button.

for (const block of document.querySelectorAll("[data-rows]")) {
  const list = block.querySelector("[data-rows-list]");
  const template = block.querySelector("template[data-rows-template]");
  const show = () => block.querySelectorAll("[data-row-remove]").forEach((button) => { button.hidden = false; });
  block.querySelector("[data-rows-add]").addEventListener("click", () => {
    list.append(template.content.cloneNode(true));
    show();
    list.lastElementChild.querySelector("input").focus();
  });
  list.addEventListener("click", (event) => {
    const button = event.target.closest("[data-row-remove]");
    if (!button) return;
    const row = button.closest("[data-row]");
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    (next?.querySelector("input") ?? block.querySelector("[data-rows-add]")).focus();
  });
  show();
}
