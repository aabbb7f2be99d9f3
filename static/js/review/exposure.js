// Meters how long the evidence is on screen unblurred, and reports it with each heartbeat and each decision.
const TICK_MS = 500;
let seconds = 0;

const evidence = () => document.querySelector(".evidence");
const blurred = () => document.querySelector("[data-medium].is-blurred") !== null;

setInterval(() => {
  if (!evidence() || document.hidden || !document.hasFocus() || blurred()) return;
  seconds += TICK_MS / 1000;
  const place = document.querySelector("[data-unblurred]");
  if (place) place.value = seconds.toFixed(1);
}, TICK_MS);

export function takeSeconds() {
  const taken = seconds;
  seconds = 0;
  const place = document.querySelector("[data-unblurred]");
  if (place) place.value = "0";
  return taken.toFixed(1);
}

document.addEventListener("item:arrived", takeSeconds);
