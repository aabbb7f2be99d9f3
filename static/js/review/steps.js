// The reasoning steps: move with the arrows, mark, edit in place with a live word diff.
import { standardKey } from "../keys/keymap.js";
import { nameOf } from "../keys/keynames.js";
import { singleKeysOn } from "../keys/singlekeys.js";
import { composing, isTyping } from "../shell/typing.js";
import { wordDiff } from "./worddiff.js";

const MARKS = { q: "right", w: "unsure", r: "wrong" };
const TAGS = { insert: "ins", delete: "del" };
const steps = () => [...document.querySelectorAll("[data-step]")];
const current = () => document.activeElement?.closest?.("[data-step]") || document.querySelector("[data-step].is-current");

function focusStep(step) {
  if (!step) return;
  for (const one of steps()) {
    one.tabIndex = one === step ? 0 : -1;
    one.classList.toggle("is-current", one === step);
  }
  step.focus({ preventScroll: true });
  step.scrollIntoView({ block: "nearest" });
}

function move(by) {
  const all = steps();
  if (!all.length) return;
  const at = all.indexOf(current());
  focusStep(all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + by))]);
}

function mark(step, value) {
  const radio = step.querySelector(`[data-mark="${value}"]`);
  radio.checked = !radio.checked; // the same key again takes the mark back
  radio.dispatchEvent(new Event("change", { bubbles: true }));
}

function showDiff(step) {
  const before = step.querySelector("[data-original]").textContent;
  const after = step.querySelector("[data-edit]").value.trim();
  const changed = after !== before.trim();
  const place = step.querySelector("[data-diff]");
  place.hidden = !changed;
  step.classList.toggle("is-edited", changed);
  place.replaceChildren(...(changed ? wordDiff(before, after) : []).map(({ op, text }) => {
    if (!TAGS[op]) return document.createTextNode(text);
    const node = document.createElement(TAGS[op]);
    node.textContent = text;
    return node;
  }));
}

function edit(step) {
  const details = step.querySelector(".step-edit");
  details.open = true;
  const field = details.querySelector("[data-edit]");
  field.focus();
  field.setSelectionRange(field.value.length, field.value.length);
}

function leave(step) {
  step.querySelector(".step-edit").open = false;
  showDiff(step);
  focusStep(step);
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || composing(event) || document.querySelector("dialog[open]")) return;
  const inside = event.target.closest?.("[data-step]");
  if (event.key === "Escape" && inside && event.target.matches("[data-edit]")) {
    event.preventDefault();
    leave(inside);
    return;
  }
  if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
  const native = event.target.matches?.("input[type=radio], video") || event.target.closest?.("[data-scrolls]");
  if ((event.key === "ArrowDown" || event.key === "ArrowUp") && !native && steps().length) {
    event.preventDefault();
    move(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Enter" && event.target.matches?.("[data-step]")) {
    event.preventDefault();
    edit(event.target);
  } else if (MARKS[standardKey(nameOf(event))] && !event.repeat && singleKeysOn()) {
    const step = current() || steps()[0];
    if (!step) return;
    event.preventDefault();
    focusStep(step);
    mark(step, MARKS[standardKey(nameOf(event))]);
  }
});

document.addEventListener("input", (event) => {
  if (event.target.matches("[data-edit]")) showDiff(event.target.closest("[data-step]"));
});
document.addEventListener("focusin", (event) => {
  const step = event.target.closest?.("[data-step]");
  if (step) for (const one of steps()) one.classList.toggle("is-current", one === step);
});
document.addEventListener("click", (event) => {
  const restore = event.target.closest("[data-restore]");
  if (restore) {
    const step = restore.closest("[data-step]");
    const field = step.querySelector("[data-edit]");
    field.value = step.querySelector("[data-original]").textContent;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    leave(step);
  }
  if (event.target.closest("[data-next-unmarked]")) {
    focusStep(steps().find((step) => !step.querySelector("[data-mark]:checked")) || steps()[0]);
  }
});
document.addEventListener("toggle", (event) => {
  if (event.target.matches?.(".step-edit[open]")) event.target.querySelector("[data-edit]").focus();
}, true);
