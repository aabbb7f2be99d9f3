// When another item arrives: focus on it, top of the page, one announcement, `htmx` failures said in words.
import { announce } from "../shell/announce.js";

document.addEventListener("htmx:afterSettle", (event) => {
  const main = event.target;
  if (!(main instanceof HTMLElement) || main.id !== "content") return;
  main.focus({ preventScroll: true });
  window.scrollTo(0, 0);
  announce(main.dataset.announce || "");
  document.dispatchEvent(new CustomEvent("item:arrived"));
});

const say = (text) => {
  const place = document.getElementById("review-notice");
  if (!place) return;
  place.innerHTML = '<div class="notice error" role="alert"><div class="notice-body"></div></div>';
  place.querySelector(".notice-body").textContent = text;
};
document.addEventListener("htmx:sendError", () => say(gettext("The server did not answer. Your work is still on this page: try again in a moment.")));
document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  if (status === 403 || status === 401) say(gettext("You are signed out. Sign in again in another tab, then submit here: your work is still on this page."));
  else say(interpolate(gettext("The server answered %s. Your work is still on this page: try again, or reload the item."), [status]));
});
