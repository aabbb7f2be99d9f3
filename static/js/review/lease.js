// The hold on the item: counts down, is renewed while the person works, and says so before it ends. Also the case timer.
import { announce } from "../shell/announce.js";
import { withToken } from "../shell/csrf.js";
import { keepActive, takeActive } from "./active.js";
import { takeSeconds } from "./exposure.js";

const BEAT_MS = 20_000;
const WARN_S = 60;
let deadline = 0;
let started = 0;
let active = true;
let warned = false;
let gone = false;

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const lease = () => document.getElementById("lease");

function start() {
  const place = lease();
  if (!place) return;
  deadline = performance.now() + Number(place.dataset.left) * 1000;
  started = performance.now() - Number(document.getElementById("case-time").dataset.elapsed) * 1000;
  warned = false;
  gone = false;
  active = true;
  tick();
}

function tick() {
  const place = lease();
  if (!place) return;
  const left = Math.max(0, (deadline - performance.now()) / 1000);
  document.getElementById("lease-time").textContent = clock(left);
  document.getElementById("case-time").textContent = clock((performance.now() - started) / 1000);
  place.classList.toggle("is-low", left <= WARN_S);
  if (left <= WARN_S && !warned) {
    warned = true;
    announce(gettext("Your hold on this item ends in a minute. Any key or click renews it."));
  }
  if (left <= 0) expire();
}

function expire(why = "lease-gone") {
  if (gone) return;
  gone = true;
  const notice = document.getElementById("review-notice");
  const template = document.getElementById(why);
  notice.replaceChildren(template.content.cloneNode(true));
  window.htmx.process(notice);
}

function show(said) {
  document.getElementById("here").hidden = said.here.length === 0;
  document.getElementById("here-names").textContent = said.here.join(", ");
  document.getElementById("break-notice").hidden = !said.break_due;
}

async function beat() {
  const place = lease();
  if (!place || !active || gone) return;
  active = false;
  const worked = takeActive();
  try {
    const report = withToken(new FormData());
    report.set("unblurred", takeSeconds());
    report.set("active", worked);
    const answer = await fetch(place.dataset.url, { method: "POST", body: report, keepalive: true });
    if (lease() !== place) return;
    if (answer.status === 409) expire((await answer.json()).withdrawn ? "item-withdrawn" : "lease-gone");
    else if (answer.ok) {
      const said = await answer.json();
      deadline = performance.now() + said.seconds_left * 1000;
      warned = false;
      show(said);
    }
  } catch { // offline: the next beat tries again
    active = true;
    if (lease() === place) keepActive(worked);
  }
}

for (const kind of ["keydown", "pointerdown", "input", "wheel"]) {
  document.addEventListener(kind, () => {
    active = true;
    if (warned && !gone) beat();
  }, { passive: true });
}
document.addEventListener("item:arrived", start);
document.addEventListener("visibilitychange", () => { if (document.hidden) beat(); });
setInterval(tick, 1000);
setInterval(beat, BEAT_MS);
start();
