// A key presses the visible button or box that carries it in data-key: what is printed is what works.
import { standardKey } from "./keymap.js";
import { nameOf } from "./keynames.js";
import { keepSingleKeys, singleKeysOn } from "./singlekeys.js";
import { composing, isTyping } from "../shell/typing.js";

// From a request until what it brought has settled, keys do nothing: a form that htmx has not taken over yet would leave the page.
let requests = 0;
let settling = false;
document.addEventListener("htmx:beforeRequest", () => { requests += 1; });
document.addEventListener("htmx:afterRequest", () => { requests = Math.max(0, requests - 1); });
document.addEventListener("htmx:beforeSwap", (event) => { settling = event.detail.shouldSwap; });
for (const end of ["htmx:afterSettle", "htmx:swapError"]) document.addEventListener(end, () => { settling = false; });
const busy = () => requests > 0 || settling || document.body.hasAttribute("data-waits");

const REPEATABLE = new Set([",", "."]);
const NATIVE_SPACE = "button, summary, a, input, select, video, textarea";

const visible = (element) => element.getClientRects().length > 0;

function press(element) {
  if (element.disabled) return;
  if (element.matches("input[type=checkbox]")) {
    element.checked = !element.checked;
    element.dispatchEvent(new Event("change", { bubbles: true }));
  } else element.click();
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || composing(event) || document.querySelector("dialog[open]")) return;
  const name = standardKey(nameOf(event));
  if (name === "Control+Enter") {
    event.preventDefault();
    if (!event.repeat && !busy()) document.querySelector("[data-submit]")?.click();
    return;
  }
  if (name === "Escape" && isTyping(event)) event.target.blur(); // leaves the field, so that letters are keys again
  if (!name || isTyping(event)) return;
  if (name === "Enter" && event.target.matches?.("input")) event.preventDefault(); // choosing a label is not submitting
  if (name === " " && event.target.matches?.(NATIVE_SPACE)) return;
  if (!name.startsWith("Control+") && !singleKeysOn()) return;
  const element = [...document.querySelectorAll("#content [data-key]")].find((one) => one.dataset.key === name && visible(one));
  if (!element) return;
  event.preventDefault();
  if (busy() || (event.repeat && !REPEATABLE.has(name))) return;
  press(element);
});

const box = document.querySelector("[data-single-keys]");
if (box) {
  box.checked = singleKeysOn();
  box.addEventListener("change", () => keepSingleKeys(box.checked));
}
