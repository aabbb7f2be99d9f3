// [data-copies="id"] copies that element's text.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copies]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
  button.lastChild.textContent = gettext("Copied");
});
