// [data-opens="id"] opens the <dialog>, [data-closes] inside it or a click on the backdrop closes it; `?` opens the help, `/` finds the search.
import { isTyping } from "./typing.js";

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) {
    event.preventDefault(); // a submit button opens its dialog instead
    document.getElementById(opener.dataset.opens)?.showModal();
    return;
  }
  if (event.target.closest("[data-closes]")) event.target.closest("dialog")?.close();
  else if (event.target.tagName === "DIALOG" && event.detail > 0) event.target.close();
});

document.addEventListener("keydown", (event) => {
  if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "?") {
    event.preventDefault();
    document.getElementById("help")?.showModal();
  } else if (event.key === "/") {
    const field = document.querySelector("[data-search]");
    if (field) {
      event.preventDefault();
      field.focus();
      field.select();
    }
  }
});
