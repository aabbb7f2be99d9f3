// A field that takes the key that is pressed in it. Tab, Escape and Backspace keep their meaning.
import { nameOf } from "./keynames.js";

document.addEventListener("keydown", (event) => {
  if (!event.target.matches?.("[data-key-field]") || ["Tab", "Escape", "Shift", "Control", "Alt", "Meta"].includes(event.key)) return;
  if (event.key === "Enter" || event.ctrlKey && event.key === "Tab") return;
  if (event.key === "Backspace" || event.key === "Delete") {
    event.target.value = "";
    event.preventDefault();
    return;
  }
  const name = nameOf(event);
  if (!name) return;
  event.preventDefault();
  event.target.value = name === " " ? "space" : name;
});
