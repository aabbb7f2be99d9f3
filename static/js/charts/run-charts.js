// The small charts of a run: each drawn once it is in sight, then only given new points; tables are filled when they are opened.
import { axis, colour, onThemeChange } from "./axes.js";
import { figure } from "./run-figures.js";

const place = document.querySelector(".charts");
const charts = [...document.querySelectorAll("[data-chart]")].map((node) => ({ node, drawn: null, seen: false }));
let figures = null;

function upright({ unit, low, high }) {
  const shared = axis(unit);
  const ends = { ...(low === "" ? {} : { min: Number(low) }), ...(high === "" ? {} : { max: Number(high) }) };
  return { ...shared, ...ends, ticks: { ...shared.ticks, maxTicksLimit: 6, callback: (value) => figure(value) } };
}

const seriesOf = (node) => [...node.querySelectorAll("[data-field]")];

function draw(chart) {
  if (!figures || !chart.seen || !window.Chart) return;
  const series = seriesOf(chart.node);
  if (chart.drawn) {
    series.forEach((one, number) => { chart.drawn.data.datasets[number].data = figures.points(one.dataset.field); });
    chart.drawn.update("none");
    return;
  }
  chart.drawn = new window.Chart(chart.node.querySelector("canvas"), {
    type: "line",
    data: { datasets: series.map((one) => ({
      label: one.dataset.words, data: figures.points(one.dataset.field), borderColor: colour(`--chart-${one.dataset.colour}`),
      backgroundColor: colour(`--chart-${one.dataset.colour}`), borderWidth: 1.75, borderDash: one.dataset.colour === "1" ? [] : [5, 3],
      pointRadius: figures.rows.length > 1 ? 0 : 3, pointHitRadius: 12, tension: 0,
    })) },
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, normalized: true,
      interaction: { mode: "index", axis: "x", intersect: false },
      plugins: { legend: { display: false }, tooltip: { callbacks: {
        title: (items) => interpolate(gettext("Step %s"), [items[0].parsed.x]), label: (item) => `${item.dataset.label} ${figure(item.parsed.y)}`,
      } } },
      scales: {
        x: { type: "linear", ...axis("") },
        y: upright(chart.node.dataset),
      },
    },
  });
}

function tell(chart) {
  for (const one of seriesOf(chart.node)) one.querySelector("output").textContent = figure(figures.latest(one.dataset.field));
}

function fill(details) {
  if (!details.open || !figures) return;
  const fields = seriesOf(details.closest(".card")).map((one) => one.dataset.field);
  const columns = [0, ...fields.map((field) => figures.fields.indexOf(field))];
  details.querySelector("tbody").replaceChildren(...figures.rows.map((figuresOfStep) => {
    const row = document.createElement("tr");
    for (const column of columns) {
      const cell = row.insertCell();
      cell.className = "num";
      cell.textContent = figure(figuresOfStep[column]);
    }
    return row;
  }));
}

export const fieldsOfThePage = place ? place.dataset.fields.split(" ") : [];

export function show(current) {
  figures = current;
  document.getElementById("charts-empty").hidden = figures.rows.length > 0;
  for (const chart of charts) {
    tell(chart);
    draw(chart);
  }
  for (const details of document.querySelectorAll("[data-table]")) fill(details);
}

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const chart = charts.find((one) => one.node === entry.target);
    chart.seen = entry.isIntersecting;
    draw(chart);
  }
}, { rootMargin: "200px" });
for (const chart of charts) watcher.observe(chart.node);
for (const details of document.querySelectorAll("[data-table]")) details.addEventListener("toggle", () => fill(details));

onThemeChange(() => {
  for (const chart of charts) {
    chart.drawn?.destroy();
    chart.drawn = null;
    draw(chart);
  }
});
