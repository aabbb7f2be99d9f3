// Draws each insight from the table beside it, so that picture and numbers cannot differ.
import { axis, calm, colour, onThemeChange } from "./axes.js";

const COLOURS = ["--chart-1", "--chart-2", "--chart-3", "--chart-4", "--harm", "--safe"];
const numbers = (text) => (text ? text.split(",").map(Number) : []);

function read(figure) {
  const table = figure.parentElement.querySelector("table");
  const drawn = numbers(figure.dataset.drawn);
  const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
  const rows = [...table.tBodies[0].rows];
  return {
    labels: rows.map((row) => row.cells[0].textContent.trim()),
    series: drawn.map((at) => ({
      label: heads[at],
      data: rows.map((row) => (row.cells[at].dataset.value === undefined ? null : Number(row.cells[at].dataset.value))),
    })),
    share: drawn.every((at) => numbers(figure.dataset.shares).includes(at)),
  };
}

function draw(figure) {
  const { labels, series, share } = read(figure);
  const kind = figure.dataset.chart;
  const stacked = kind === "stacked";
  const y = { ...axis(share ? gettext("share") : ""), stacked, beginAtZero: true, ...(share ? { max: 1 } : {}) };
  return new Chart(figure.querySelector("canvas"), {
    type: kind === "line" ? "line" : "bar",
    data: {
      labels,
      datasets: series.map((one, at) => ({
        ...one, borderColor: colour(COLOURS[at % COLOURS.length]), backgroundColor: colour(COLOURS[at % COLOURS.length]),
        borderWidth: kind === "line" ? 2 : 0, pointRadius: labels.length > 40 ? 0 : 3, spanGaps: true, maxBarThickness: 36,
      })),
    },
    options: {
      animation: calm ? false : { duration: 200 }, maintainAspectRatio: false, responsive: true,
      interaction: { mode: "index", intersect: false },
      plugins: { legend: { display: series.length > 1, labels: { color: colour("--text"), boxWidth: 10, boxHeight: 10 } } },
      scales: { x: { ...axis(""), stacked, grid: { display: false } }, y },
    },
  });
}

let charts = [];
function drawAll() {
  charts.forEach((chart) => chart.destroy());
  charts = [...document.querySelectorAll("[data-insight]")].map(draw);
}
drawAll();
onThemeChange(drawAll);
