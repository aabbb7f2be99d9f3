// Regenerate from here: asks, looks each second whether the guard has written, and puts what it wrote into the person's edits.
// Not by htmx: its requests hold the keys back and end a waiting save of the draft, and these go on beside the person's work.
import { announce } from "../shell/announce.js";
import { withToken } from "../shell/csrf.js";
import { standardKey } from "../keys/keymap.js";
import { nameOf } from "../keys/keynames.js";
import { labelWords } from "./labels.js";
import { singleKeysOn } from "../keys/singlekeys.js";
import { isTyping } from "../shell/typing.js";

const EACH_MS = 1000;
let timer = 0;

const panel = () => document.getElementById("regenerated");
const form = () => document.getElementById("decision");
const shown = () => panel()?.querySelector("[data-regeneration]");
const steps = () => [...document.querySelectorAll("[data-step]")];

async function put(place, request) {
  try {
    const answer = await request;
    if (panel() !== place || answer.redirected || (!answer.ok && answer.status !== 409)) return answer.ok;
    place.innerHTML = await answer.text();
    window.htmx.process(place);
    return true;
  } catch {
    return false; // offline: the next look may reach the server
  }
}

async function look(place, start) {
  const before = shown()?.dataset.regeneration;
  await put(place, fetch(`${place.dataset.url}?from=${start}`, { headers: { "HX-Request": "true" } }));
  if (panel() === place && shown() && before && place.dataset.waits === start) follow(place, start);
}

function follow(place, start) {
  clearTimeout(timer);
  const state = shown()?.dataset.regeneration;
  if (state === "queued" || state === "running") {
    timer = setTimeout(() => look(place, start), EACH_MS);
    return;
  }
  place.dataset.waits = "";
  compare();
  if (state) {
    announce(shown().textContent.replace(/\s+/g, " "));
    shown().scrollIntoView({ block: "nearest" });
  }
}

async function ask(start) {
  const place = panel();
  if (!place || !start) return;
  clearTimeout(timer);
  const body = withToken(new FormData(form()));
  body.set("from", start);
  place.dataset.waits = start;
  const taken = await put(place, fetch(place.dataset.url, { method: "POST", body, headers: { "HX-Request": "true" } }));
  if (!taken) announce(place.dataset.failed);
  else if (panel() === place) follow(place, start);
}

function compare() {
  for (const notice of document.querySelectorAll("[data-differs]")) {
    const chosen = form().querySelector(`input[name="${notice.dataset.differs}"]:checked`)?.value;
    notice.hidden = !chosen || chosen === notice.dataset.label;
    notice.querySelector("[data-chosen]").textContent = labelWords(chosen);
  }
}

function write(step, text) {
  const field = step.querySelector("[data-edit]");
  field.value = text;
  step.querySelector(".step-edit").open = false;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

function drop(step) {
  write(step, step.querySelector("[data-original]").textContent);
  step.querySelector('[data-mark="wrong"]').checked = true;
}

function add(texts) {
  const place = document.querySelector(".add-step");
  for (const old of place.querySelectorAll("[data-from-guard]")) old.remove();
  const empty = place.querySelector('textarea[name="added"]:last-of-type');
  for (const text of texts) {
    const field = empty.cloneNode();
    field.removeAttribute("placeholder");
    field.toggleAttribute("data-from-guard", true);
    field.value = text;
    empty.before(field);
  }
  if (texts.length) place.open = true;
}

function use() {
  const start = Number(shown().dataset.start);
  const fresh = [...shown().querySelectorAll("[data-new-step]")].map((one) => one.textContent);
  const old = steps().slice(start - 1);
  old.forEach((step, at) => {
    if (at >= fresh.length) drop(step);
    else {
      const wrong = step.querySelector('[data-mark="wrong"]');
      if (wrong.checked) wrong.checked = false; // the new words are not what was wrong
      write(step, fresh[at]);
    }
  });
  add(fresh.slice(old.length));
  shown().querySelector("[data-tails]").remove();
  shown().querySelector("[data-choice]").remove();
  form().dispatchEvent(new Event("change", { bubbles: true }));
  (old[0] || document.querySelector(".add-step textarea")).focus();
}

document.addEventListener("click", (event) => {
  const again = event.target.closest("[data-regenerate]");
  if (again) ask(again.dataset.regenerate);
  const choice = event.target.closest("#regenerated [data-use], #regenerated [data-leave]");
  if (!choice) return;
  announce(choice.dataset.said);
  clearTimeout(timer);
  panel().dataset.waits = "";
  if (choice.matches("[data-use]")) use();
  else {
    const step = steps()[Number(shown().dataset.start) - 1];
    panel().replaceChildren();
    step?.focus();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.repeat || isTyping(event) || document.querySelector("dialog[open]")) return;
  if (standardKey(nameOf(event)) !== "c" || !singleKeysOn()) return;
  const step = document.querySelector("[data-step].is-current") || steps()[0];
  const button = (step || document).querySelector("[data-regenerate]");
  if (!button) return;
  event.preventDefault();
  button.click();
});
document.addEventListener("change", compare);
document.addEventListener("click", (event) => { if (event.target.closest("[data-verdict]")) compare(); });
document.addEventListener("item:arrived", () => clearTimeout(timer));
