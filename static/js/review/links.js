// What a step rests on: links to a frame, to a region of a frame, to words of the prompt or the response, as chips under the step.
import { announce } from "../shell/announce.js";
import { standardKey } from "../keys/keymap.js";
import { nameOf } from "../keys/keynames.js";
import { pick, picking, showBox, showFrame, shownFrame, stopPicking, timeOf } from "./linkframes.js";
import { selectedWords, showWords, wordsOf, findWords } from "./linkwords.js";
import { singleKeysOn } from "../keys/singlekeys.js";
import { composing, isTyping } from "../shell/typing.js";

const KEYS = { l: "frame", k: "words", o: "region" };
const MOST = 20;
const word = (name) => document.querySelector("[data-steps]").dataset[`word${name}`];
const linksOf = (step) => JSON.parse(step.querySelector("[data-links]").value || "[]");

function describe(link) {
  if (link.kind === "span") {
    const words = wordsOf(link);
    return `“${words.length > 40 ? `${words.slice(0, 40)}…` : words}”`;
  }
  const time = timeOf(link);
  const frame = time ? `${word("Frame")} ${link.index + 1} · ${time}` : word("Picture");
  return link.kind === "region" ? `${word("Region")} ${frame}` : frame;
}

function button(text, name, at, label) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.setAttribute(name, String(at));
  if (label) made.setAttribute("aria-label", label);
  return made;
}

function draw(step) {
  const place = step.querySelector("[data-link-chips]");
  const links = linksOf(step);
  place.hidden = !links.length;
  place.replaceChildren(...links.map((link, at) => {
    const chip = document.createElement("li");
    const words = describe(link);
    chip.className = "link-chip";
    chip.append(button(words, "data-show-link", at), button("✕", "data-unlink", at, `${word("Remove")} ${words}`));
    return chip;
  }));
}

function keep(step, links) {
  const field = step.querySelector("[data-links]");
  field.value = JSON.stringify(links);
  draw(step);
  field.dispatchEvent(new Event("change", { bubbles: true }));
}

function add(step, link) {
  const links = linksOf(step);
  if (links.length >= MOST) {
    announce(word("Many"));
    return;
  }
  if (!links.some((one) => JSON.stringify(one) === JSON.stringify(link))) keep(step, [...links, link]);
  show(link);
  announce(`${word("Linked")} ${describe(link)}`);
}

function show(link) {
  showWords(link.kind === "span" ? link : null);
  if (link.kind !== "span") showFrame(link);
  showBox(link.kind === "region" ? link : null);
}

function start(step, what) {
  const find = step.querySelector("[data-link-find]");
  if (what === "frame") {
    const frame = shownFrame();
    if (frame) add(step, { kind: "frame", ...frame });
  } else if (what === "region") {
    pick({
      done: (link) => {
        add(step, link);
        step.focus({ preventScroll: true });
      },
      second: () => announce(word("Second")),
      flat: () => announce(word("Flat")),
      left: () => step.focus({ preventScroll: true }),
    });
    announce(word("Pick"));
  } else {
    const link = selectedWords();
    if (link) {
      add(step, link);
      return;
    }
    find.hidden = false;
    find.focus();
  }
}

document.addEventListener("click", (event) => {
  const part = event.target.closest("[data-show-window]")
    || (event.target.closest("[data-show-decisive]") && document.querySelector("[data-show-window][aria-current]"));
  if (part) showWords(JSON.parse(part.dataset.showWindow));
  const step = event.target.closest("[data-step]");
  if (!step) return;
  const tool = event.target.closest("[data-link]");
  if (tool) start(step, tool.dataset.link);
  const shown = event.target.closest("[data-show-link]");
  if (shown) show(linksOf(step)[Number(shown.dataset.showLink)]);
  const gone = event.target.closest("[data-unlink]");
  if (gone) {
    const at = Number(gone.dataset.unlink);
    keep(step, linksOf(step).filter((_, index) => index !== at));
    showBox(null);
    showWords(null);
    announce(word("Removed"));
    const rest = step.querySelectorAll("[data-unlink]");
    (rest[Math.min(at, rest.length - 1)] || step).focus();
  }
});

document.addEventListener("keydown", (event) => {
  if (composing(event)) return;
  const find = event.target.closest?.("[data-link-find]");
  if (find && (event.key === "Enter" || event.key === "Escape")) {
    event.preventDefault();
    const step = find.closest("[data-step]");
    const link = event.key === "Enter" ? findWords(find.value) : null;
    if (event.key === "Enter" && !link) {
      announce(word("Nowhere"));
      find.setCustomValidity(word("Nowhere"));
      find.reportValidity();
      return;
    }
    find.value = "";
    find.hidden = true;
    step.focus();
    if (link) add(step, link);
    return;
  }
  if (event.defaultPrevented || event.repeat || isTyping(event) || document.querySelector("dialog[open]")) return;
  const what = KEYS[standardKey(nameOf(event))];
  if (!what || !singleKeysOn() || picking()) return;
  const step = document.querySelector("[data-step].is-current") || document.querySelector("[data-step]");
  if (!step?.querySelector(`[data-link="${what}"]`)) return;
  event.preventDefault();
  step.classList.add("is-current");
  start(step, what);
});
document.addEventListener("input", (event) => { if (event.target.matches("[data-link-find]")) event.target.setCustomValidity(""); });

function begin() {
  stopPicking();
  showWords(null);
  document.querySelectorAll("[data-step]").forEach(draw);
}
document.addEventListener("item:arrived", begin);
begin();
