// The fold with the item's context: opened by a button or its key, remembered in a cookie, so that the server sends it as it was left.
const YEAR_S = 365 * 24 * 3600;
const button = () => document.querySelector("[data-context-fold]");
const panel = () => document.getElementById("context-panel");
const isOpen = () => button()?.getAttribute("aria-expanded") === "true";

function remember(open) {
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `guardapp_context=${open ? "open" : "closed"}; path=/; max-age=${YEAR_S}; samesite=lax${secure}`;
}

function show(open) {
  button().setAttribute("aria-expanded", String(open));
  panel().hidden = !open;
}

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-context-fold]")) return;
  const open = !isOpen();
  show(open);
  remember(open);
  if (open && event.detail === 0) panel().focus(); // by a key: arrows scroll it, and Tab goes on to its links
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || !event.target.closest?.("#context-panel")) return;
  event.preventDefault();
  show(false);
  remember(false);
  button().focus();
});

// an item that was fetched ahead was sent as the fold stood then
document.addEventListener("item:arrived", () => {
  const left = document.cookie.match(/(?:^|; )guardapp_context=([^;]+)/)?.[1];
  if (button() && left) show(left === "open");
});
