// Applies the stored colour choice before the first paint, and cycles it: system, light, dark.
// A classic script in <head>, so that no page flashes in the wrong colours.
(() => {
  const root = document.documentElement;
  const order = ["system", "light", "dark"];
  const stored = () => {
    try { return localStorage.getItem("theme") || "system"; } catch { return "system"; }
  };
  const apply = (choice) => {
    if (choice === "system") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", choice);
    root.dataset.themeChoice = choice;
    for (const button of document.querySelectorAll("[data-theme-toggle]")) {
      const words = button.dataset[`${choice}Words`];
      button.setAttribute("aria-label", words);
      button.title = words;
    }
  };
  apply(stored());
  window.addEventListener("beforeprint", () => root.setAttribute("data-theme", "light")); // charts are drawn anew by it
  window.addEventListener("afterprint", () => apply(stored()));
  document.addEventListener("DOMContentLoaded", () => apply(stored()));
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const next = order[(order.indexOf(stored()) + 1) % order.length];
    try { localStorage.setItem("theme", next); } catch { /* private mode: the choice lasts for this page */ }
    apply(next);
  });
})();
