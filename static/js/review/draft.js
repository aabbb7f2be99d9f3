// Saves unfinished work a moment after each change, and when the page is left.
import { withToken } from "../shell/csrf.js";

const WAIT = 700;
let timer = 0;
let flight = null;
let unsaved = false;

const form = () => document.getElementById("decision");
const say = (text) => {
  const place = document.getElementById("saved");
  if (place) place.textContent = text;
};

async function save() {
  const from = form();
  if (!from) return;
  flight?.abort();
  flight = new AbortController();
  try {
    const answer = await fetch(from.dataset.draftUrl, { method: "POST", body: withToken(new FormData(from)), signal: flight.signal });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status)); // redirected: to the sign-in
    if (form() === from) {
      unsaved = false;
      say(gettext("Saved"));
    }
  } catch (error) {
    if (error.name !== "AbortError" && form() === from) say(gettext("Not saved yet"));
  }
}

function changed(event) {
  if (!form()?.contains(event.target)) return;
  unsaved = true;
  say(gettext("Saving…"));
  clearTimeout(timer);
  timer = setTimeout(save, WAIT);
}

function forget() {
  clearTimeout(timer);
  flight?.abort();
  unsaved = false;
}

document.addEventListener("input", changed);
document.addEventListener("change", changed);
// a request of the form carries the work itself; before any other one the work is saved
document.addEventListener("htmx:confirm", (event) => {
  if (!unsaved || !form() || form().contains(event.detail.elt)) return;
  event.preventDefault();
  clearTimeout(timer);
  save().finally(() => event.detail.issueRequest(true));
});
document.addEventListener("htmx:beforeRequest", forget);
document.addEventListener("item:arrived", forget);
window.addEventListener("pagehide", () => {
  if (unsaved && form()) navigator.sendBeacon(form().dataset.draftUrl, withToken(new FormData(form())));
});
