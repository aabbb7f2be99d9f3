// Turns [data-tabs] with [data-tab="Words"] parts into tabs. Without JavaScript the parts stand one below the other.
let made = 0;

function build(box) {
  if (box.querySelector(":scope > .tabs")) return;
  const panels = [...box.querySelectorAll(":scope > [data-tab]")];
  const list = document.createElement("div");
  list.className = "tabs";
  list.setAttribute("role", "tablist");
  const tabs = panels.map((panel) => {
    made += 1;
    panel.id ||= `panel-${made}`;
    const tab = document.createElement("button");
    tab.type = "button";
    tab.id = `tab-${made}`;
    tab.textContent = panel.dataset.tab;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", panel.id);
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", tab.id);
    tab.addEventListener("click", () => select(tabs, panels, tabs.indexOf(tab)));
    return tab;
  });
  list.append(...tabs);
  list.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const next = (tabs.indexOf(document.activeElement) + by + tabs.length) % tabs.length;
    select(tabs, panels, next);
    tabs[next].focus();
  });
  box.prepend(list);
  select(tabs, panels, 0);
}

function select(tabs, panels, index) {
  panels[index].dispatchEvent(new CustomEvent("tab:shown"));
  tabs.forEach((tab, i) => {
    tab.setAttribute("aria-selected", String(i === index));
    tab.tabIndex = i === index ? 0 : -1;
    panels[i].hidden = i !== index;
    if (i === index) return;
    for (const video of panels[i].querySelectorAll("video")) video.pause();
    panels[i].dispatchEvent(new CustomEvent("tab:hidden"));
  });
}

const buildAll = () => document.querySelectorAll("[data-tabs]").forEach(build);
document.addEventListener("htmx:afterSwap", buildAll);
buildAll();
