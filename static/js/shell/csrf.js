// The token of the sign-in that holds now: signing in again in another tab changes it under an open page.
const NAME = "csrfmiddlewaretoken";
const COOKIE = `${document.documentElement.dataset.csrfCookie}=`;
const token = () => document.cookie.split("; ").find((one) => one.startsWith(COOKIE))?.slice(COOKIE.length);

export function withToken(data) {
  const now = token();
  if (now) data.set(NAME, now);
  return data;
}

document.addEventListener("htmx:configRequest", (event) => {
  const now = token();
  if (now && event.detail.verb === "post") event.detail.parameters[NAME] = now;
});
