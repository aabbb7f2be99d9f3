// Meters how long the person works on the item: a hidden or closed page does not count, nor time without any key, click or movement.
const TICK_MS = 500;
let seconds = 0;
let last = performance.now();
let idle = 60; // seconds without a sign of the person

const place = () => document.querySelector("[data-active]");

function show() {
  if (place()) place().value = seconds.toFixed(1);
}

setInterval(() => {
  if (document.hidden || !place() || performance.now() - last > idle * 1000) return;
  seconds += TICK_MS / 1000;
  show();
}, TICK_MS);

for (const kind of ["keydown", "pointerdown", "pointermove", "input", "wheel", "scroll"]) {
  document.addEventListener(kind, () => { last = performance.now(); }, { passive: true, capture: true });
}

// The seconds since the last report; from then on they are the server's.
export function takeActive() {
  const taken = seconds;
  seconds = 0;
  show();
  return taken.toFixed(1);
}

// What could not be reported.
export function keepActive(more) {
  seconds += Number(more);
  show();
}

function begin() {
  takeActive();
  last = performance.now();
  idle = Number(place()?.dataset.idle) || idle;
}
document.addEventListener("item:arrived", begin);
begin();
