// Accept and flip: fill the decision from the guard's judgement, or from its opposite. Accepting is one key: it submits, undo is one key too.
import { announce } from "../shell/announce.js";
import { labelWords } from "./labels.js";

const opposite = (label) => (label === "harmful" ? "unharmful" : "harmful");
const form = () => document.getElementById("decision");
const chosen = (name) => form().querySelector(`input[name="${name}"]:checked`)?.value || "";

function choose(name, label) {
  const radio = form().querySelector(`input[name="${name}"][value="${label}"]`);
  if (radio) radio.checked = true;
}

function setCategories(codes) {
  for (const box of form().querySelectorAll('input[name="categories"]')) box.checked = codes.includes(box.value);
}

function judgement() {
  const pane = document.querySelector(".judgement[data-prompt-label]");
  if (!pane) return null;
  return { prompt_label: pane.dataset.promptLabel, response_label: pane.dataset.responseLabel,
    categories: pane.dataset.categories.split(" ").filter(Boolean) };
}

function accept(guard) {
  for (const name of ["prompt_label", "response_label"]) if (guard[name]) choose(name, guard[name]);
  setCategories(guard.categories);
  for (const step of document.querySelectorAll("[data-step]")) {
    if (!step.querySelector("[data-mark]:checked")) step.querySelector('[data-mark="right"]').checked = true;
  }
  return gettext("Accepted");
}

function flip(name, guard) {
  const stated = guard?.[name];
  const label = stated && chosen(name) !== opposite(stated) ? opposite(stated) : stated || opposite(chosen(name));
  choose(name, label);
  const other = name === "prompt_label" ? "response_label" : "prompt_label";
  if (guard?.[other] && !chosen(other)) choose(other, guard[other]);
  const labels = ["prompt_label", "response_label"].map(chosen).filter(Boolean);
  if (guard) setCategories(labels.includes("harmful") ? guard.categories : []);
  return interpolate(name === "prompt_label" ? gettext("Prompt: %s") : gettext("Response: %s"), [labelWords(label)]);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-verdict]");
  if (!button) return;
  const guard = judgement();
  const what = button.dataset.verdict;
  const words = what === "accept" ? accept(guard) : flip(what === "flip" ? "prompt_label" : "response_label", guard);
  announce(words);
  form().dispatchEvent(new Event("change", { bubbles: true }));
  if (what === "accept") form().requestSubmit(form().querySelector("[data-submit]"));
});
