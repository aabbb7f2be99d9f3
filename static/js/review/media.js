// Blur, grey, mute, and stepping through the frames that the guard saw. Nothing ever plays by itself.
const media = () => document.querySelectorAll("[data-medium]");
const button = (what) => document.querySelector(`[data-media="${what}"]`);
let grey = false;

function setBlur(on) {
  media().forEach((one) => one.classList.toggle("is-blurred", on));
  button("blur")?.setAttribute("aria-pressed", String(on));
}

function setGrey(on) {
  grey = on;
  media().forEach((one) => one.classList.toggle("is-grey", on));
  button("grey")?.setAttribute("aria-pressed", String(on));
}

function setMute(on) {
  for (const video of document.querySelectorAll("[data-medium] video")) video.muted = on;
  button("mute")?.setAttribute("aria-pressed", String(on));
}

function showFrame(medium, index) {
  const links = [...medium.querySelectorAll("[data-frame]")];
  const link = links[Math.min(links.length - 1, Math.max(0, index))];
  if (!link) return;
  for (const one of links) one.removeAttribute("aria-current");
  link.setAttribute("aria-current", "true");
  link.scrollIntoView({ block: "nearest", inline: "nearest" });
  const view = medium.querySelector("[data-frame-view]");
  view.src = link.href;
  view.alt = interpolate(gettext("Frame the guard saw at %s"), [link.dataset.time]);
  medium.querySelector("[data-frame-caption]").textContent = interpolate(gettext("frame %s of %s · %s"), [links.indexOf(link) + 1, links.length, link.dataset.time]);
}

document.addEventListener("click", (event) => {
  const tool = event.target.closest("[data-media]");
  if (tool) {
    const on = tool.getAttribute("aria-pressed") !== "true";
    ({ blur: setBlur, grey: setGrey, mute: setMute })[tool.dataset.media](on);
  }
  const link = event.target.closest("[data-frame]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    showFrame(link.closest("[data-medium]"), Number(link.dataset.frame));
  }
  const step = event.target.closest("[data-frame-step]");
  if (step) {
    const medium = step.closest("[data-medium]");
    const at = Number(medium.querySelector('[data-frame][aria-current="true"]')?.dataset.frame || 0);
    showFrame(medium, at + Number(step.dataset.frameStep));
  }
});

document.addEventListener("keydown", (event) => {
  if (!event.altKey || event.code !== "Space") return;
  const video = [...document.querySelectorAll("[data-medium] video")].find((one) => one.getClientRects().length);
  if (!video) return;
  event.preventDefault();
  if (video.paused) video.play();
  else video.pause();
});
// leaving re-blurs what was blurred to begin with
const startsBlurred = () => document.querySelector("[data-medium][data-starts-blurred]") !== null;
document.addEventListener("visibilitychange", () => { if (document.hidden && startsBlurred()) setBlur(true); });
document.addEventListener("pointerout", (event) => {
  const medium = event.target.closest?.("[data-medium]");
  if (medium && startsBlurred() && !medium.contains(event.relatedTarget)) setBlur(true);
});
document.addEventListener("item:arrived", () => { if (grey) setGrey(true); });
const pressed = (what) => button(what)?.getAttribute("aria-pressed") === "true";
if (button("mute") && !pressed("mute")) setMute(false);
