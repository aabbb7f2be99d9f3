// What the charts of training share: colours of the theme as they are now, and a redraw when the theme changes.
export function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

export function axis(title) {
  return {
    title: { display: Boolean(title), text: title, color: colour("--muted"), font: { size: 11 } },
    ticks: { color: colour("--muted"), font: { size: 11 }, maxRotation: 0 },
    grid: { color: colour("--line") },
    border: { display: false },
  };
}

export function onThemeChange(redraw) {
  new MutationObserver(redraw).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

export const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
