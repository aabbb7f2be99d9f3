// Share of harmful rows by how sure each version was, drawn from the table below each picture.
import { axis, colour, onThemeChange } from "./axes.js";

const charts = new Map();

function points(number, side) {
  return [...document.querySelectorAll(`[data-reliability-of="${number}"][data-side="${side}"]`)]
    .map((row) => ({ x: Number(row.dataset.x), y: Number(row.dataset.y), n: Number(row.dataset.n) }));
}

function draw(canvas) {
  const number = canvas.dataset.reliability;
  charts.get(canvas)?.destroy();
  const line = (data, name, more) => ({ data, borderColor: colour(name), backgroundColor: colour(name), borderWidth: 2, tension: 0, ...more });
  const sides = [0, 1].map((side) => line(points(number, side), side ? "--chart-2" : "--chart-1", {
    pointRadius: 4, pointStyle: side ? "rect" : "circle", pointHitRadius: 12 }));
  const diagonal = line([{ x: 0, y: 0 }, { x: 1, y: 1 }], "--chart-4", { pointRadius: 0, pointHitRadius: 0, borderDash: [4, 4], borderWidth: 1 });
  charts.set(canvas, new window.Chart(canvas, {
    type: "line",
    data: { datasets: [...sides, diagonal] },
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, interaction: { mode: "nearest", intersect: true },
      plugins: { legend: { display: false }, tooltip: { displayColors: false, callbacks: { title: () => "",
        label: ({ raw }) => interpolate(gettext("%s % of %s rows harmful at a probability of %s"), [(100 * raw.y).toFixed(0), raw.n, raw.x.toFixed(2)]) } } },
      scales: { x: { type: "linear", min: 0, max: 1, ...axis(gettext("probability of harm, calibrated")) }, y: { min: 0, max: 1, ...axis(gettext("share harmful")) } },
    },
  }));
}

if (window.Chart) {
  const canvases = [...document.querySelectorAll("[data-reliability]")];
  const all = () => canvases.forEach(draw);
  all();
  onThemeChange(all);
}
