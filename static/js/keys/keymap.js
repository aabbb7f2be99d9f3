// A person's own keys: what they press becomes the standard key that the page knows, and buttons print theirs.
import { printed } from "./keynames.js";

const own = JSON.parse(document.body.dataset.keymap || "{}");
const standard = new Map(Object.entries(own).map(([before, mine]) => [mine, before]));

export function standardKey(pressed) {
  if (standard.has(pressed)) return standard.get(pressed);
  return pressed in own ? "" : pressed; // its action has moved to another key
}

function relabel() {
  for (const element of document.querySelectorAll("[data-key]")) {
    const mine = own[element.dataset.key];
    const place = mine && (element.matches("input") ? element.closest("label") : element).querySelector("kbd");
    if (place) place.textContent = printed(mine);
  }
  for (const place of document.querySelectorAll("kbd[data-standard]")) {
    if (own[place.dataset.standard]) place.textContent = printed(own[place.dataset.standard]);
  }
}

if (standard.size) {
  document.addEventListener("htmx:afterSwap", relabel);
  relabel();
}
