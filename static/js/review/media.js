// Blur, grey, mute, stepping through the frames that the guard saw, and what can be played. Nothing ever plays by itself.
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

// An animation is a picture that moves as soon as it is loaded: paused, its first frame stands in its place.
function animate(button, on) {
  const image = button.closest("[data-playback]").querySelector("[data-animation]");
  if (on) image.src = image.dataset.animation;
  else if (image.dataset.still) image.src = image.dataset.still;
  else image.removeAttribute("src");
  image.hidden = !image.getAttribute("src");
  button.setAttribute("aria-pressed", String(on));
}

const isPressed = (one) => one.getAttribute("aria-pressed") === "true";
const pauseAnimations = (within) => within.querySelectorAll('[data-animate][aria-pressed="true"]').forEach((one) => animate(one, false));

// A clip that this browser cannot play is shown as its frames, known before by its codec or after by its error.
function showPlayer(video, on) {
  const box = video.closest("[data-playback]");
  box.querySelector("[data-player]").hidden = !on;
  box.querySelector("[data-unplayable]").hidden = on;
}

function checkPlayers() {
  for (const video of document.querySelectorAll("video[data-plays]:not([data-refused])")) showPlayer(video, video.canPlayType(video.dataset.plays) !== "");
}

function refused(event) {
  const video = event.target;
  if (!video.matches?.("[data-playback] video")) return;
  // with a codec that it does not know, a browser plays the sound of a clip and shows nothing
  if (event.type !== "error" && video.videoWidth) return;
  video.dataset.refused = "";
  showPlayer(video, false);
}
document.addEventListener("error", refused, true);
document.addEventListener("loadedmetadata", refused, true);
document.addEventListener("tab:shown", (event) => {
  for (const video of event.target.querySelectorAll?.('video[preload="none"]') || []) video.preload = "metadata";
}, true);
document.addEventListener("tab:hidden", (event) => pauseAnimations(event.target), true);

document.addEventListener("click", (event) => {
  const play = event.target.closest("[data-animate]");
  if (play) animate(play, !isPressed(play));
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
  const player = [...document.querySelectorAll("[data-medium] video, [data-animate]")].find((one) => one.getClientRects().length);
  if (!player) return;
  event.preventDefault();
  if (player.matches("[data-animate]")) animate(player, !isPressed(player));
  else if (player.paused) player.play();
  else player.pause();
});
// leaving re-blurs what was blurred to begin with
const startsBlurred = () => document.querySelector("[data-medium][data-starts-blurred]") !== null;
document.addEventListener("visibilitychange", () => {
  if (document.hidden) pauseAnimations(document);
  if (document.hidden && startsBlurred()) setBlur(true);
});
document.addEventListener("pointerout", (event) => {
  const medium = event.target.closest?.("[data-medium]");
  if (medium && startsBlurred() && !medium.contains(event.relatedTarget)) setBlur(true);
});
document.addEventListener("item:arrived", () => { if (grey) setGrey(true); });
for (const arrival of ["item:arrived", "htmx:afterSwap"]) document.addEventListener(arrival, checkPlayers);
checkPlayers();
const pressed = (what) => button(what)?.getAttribute("aria-pressed") === "true";
if (button("mute") && !pressed("mute")) setMute(false);
