// Saves unfinished work a moment after each change, and when the page is left.
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
    const answer = await fetch(from.dataset.draftUrl, { method: "POST", body: new FormData(from), signal: flight.signal });
    if (!answer.ok) throw new Error(String(answer.status));
    if (form() === from) {
      unsaved = false;
      say("Saved");
    }
  } catch (error) {
    if (error.name !== "AbortError" && form() === from) say("Not saved yet");
  }
}

function changed(event) {
  if (!form()?.contains(event.target)) return;
  unsaved = true;
  say("Saving…");
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
document.addEventListener("htmx:beforeRequest", forget); // the request carries the work itself
document.addEventListener("item:arrived", forget);
window.addEventListener("pagehide", () => {
  if (unsaved && form()) navigator.sendBeacon(form().dataset.draftUrl, new FormData(form()));
});
