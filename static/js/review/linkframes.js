// The frame that is shown, and boxes on it in percent of its width and height. A box is two corners: two clicks, or the arrows and Enter.
const STEP = 2; // percent, with Shift five times that
const SMALLEST = 0.5;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const media = () => [...document.querySelectorAll("[data-medium]")];
const viewerOf = (number) => media()[number]?.querySelector("[data-viewer]");
let last = -1; // the medium that was used last
let job = null;

export const picking = () => job !== null;

export function shownFrame() {
  const all = media();
  const used = [last, all.findIndex((one) => one.closest(".judged")), 0].find((at) => all[at]?.querySelector("[data-viewer]"));
  const number = used ?? all.findIndex((one) => one.querySelector("[data-viewer]"));
  if (number < 0) return null;
  return { medium: number, index: Number(all[number].querySelector('[data-frame][aria-current="true"]')?.dataset.frame || 0) };
}

export function timeOf({ medium, index }) {
  return media()[medium]?.querySelector(`[data-frame="${index}"]`)?.dataset.time || "";
}

export function showFrame({ medium, index }) {
  const one = media()[medium];
  if (!one) return;
  one.querySelector("[role=tab]")?.click(); // what the guard saw, not the whole file
  one.querySelector(`[data-frame="${index}"]`)?.click();
  one.scrollIntoView({ block: "nearest" });
}

// The picture inside its viewer, in pixels: it keeps its shape, so there is room beside or above it.
function picture(viewer) {
  const image = viewer.querySelector("[data-frame-view]");
  const [wide, high] = [Number(image.getAttribute("width")) || 1, Number(image.getAttribute("height")) || 1];
  const scale = Math.min(viewer.clientWidth / wide, viewer.clientHeight / high);
  return { left: (viewer.clientWidth - wide * scale) / 2, top: (viewer.clientHeight - high * scale) / 2, width: wide * scale, height: high * scale };
}

function place(viewer, name, { x, y, w = 0, h = 0 }) {
  const area = picture(viewer);
  const made = document.createElement("div");
  made.className = name;
  made.style.left = `${area.left + (x / 100) * area.width}px`;
  made.style.top = `${area.top + (y / 100) * area.height}px`;
  if (w) made.style.width = `${(w / 100) * area.width}px`;
  if (h) made.style.height = `${(h / 100) * area.height}px`;
  viewer.append(made);
}

const wipe = () => { for (const old of document.querySelectorAll(".link-box, .link-corner")) old.remove(); };

export function showBox(link) {
  wipe();
  const viewer = link && viewerOf(link.medium);
  if (viewer) place(viewer, "link-box", link);
}

const percent = (value) => Math.round(Math.min(100, Math.max(0, value)) * 10) / 10;

function draw() {
  wipe();
  if (job.first) place(job.viewer, "link-corner", job.first);
  if (job.cursor) place(job.viewer, "link-corner", job.cursor);
}

function corner(point) {
  const frame = shownFrame();
  if (!job.first || job.frame.index !== frame.index) {
    Object.assign(job, { first: point, frame });
    draw();
    job.second();
    return;
  }
  const box = { x: Math.min(job.first.x, point.x), y: Math.min(job.first.y, point.y),
    w: percent(Math.abs(job.first.x - point.x)), h: percent(Math.abs(job.first.y - point.y)) };
  if (box.w < SMALLEST || box.h < SMALLEST) {
    job.first = null;
    draw();
    job.flat();
    return;
  }
  const { done } = job;
  stopPicking();
  done({ kind: "region", ...frame, ...box });
}

// `done(link)`, and what to say: `second` after the first corner, `flat` where both are one, `left` where Esc ended it.
export function pick(wanted) {
  stopPicking();
  const frame = shownFrame();
  const viewer = frame && viewerOf(frame.medium);
  if (!viewer) return;
  showFrame(frame);
  job = { ...wanted, viewer, frame, first: null, cursor: null };
  viewer.classList.add("is-picking");
  viewer.focus();
}

export function stopPicking() {
  wipe();
  job?.viewer.classList.remove("is-picking");
  job = null;
}

document.addEventListener("click", (event) => {
  const medium = event.target.closest("[data-medium]");
  if (medium) last = media().indexOf(medium);
  const viewer = event.target.closest("[data-viewer]");
  if (!job || viewer !== job.viewer) return;
  const area = picture(viewer);
  const bounds = viewer.getBoundingClientRect();
  corner({ x: percent(((event.clientX - bounds.left - viewer.clientLeft - area.left) / area.width) * 100),
    y: percent(((event.clientY - bounds.top - viewer.clientTop - area.top) / area.height) * 100) });
});

document.addEventListener("keydown", (event) => {
  if (!job) return;
  if (event.key === "Escape") {
    event.preventDefault();
    const { left } = job;
    stopPicking();
    left();
  } else if (document.activeElement === job.viewer && ARROWS[event.key]) {
    event.preventDefault();
    const by = STEP * (event.shiftKey ? 5 : 1);
    const at = job.cursor || job.first || { x: 50, y: 50 };
    job.cursor = { x: percent(at.x + ARROWS[event.key][0] * by), y: percent(at.y + ARROWS[event.key][1] * by) };
    draw();
  } else if (document.activeElement === job.viewer && event.key === "Enter") {
    event.preventDefault();
    corner(job.cursor || { x: 50, y: 50 });
  }
}, { capture: true });
window.addEventListener("resize", wipe);
document.addEventListener("item:arrived", () => { last = -1; });
