// One column of the leaderboard as bars, with intervals where there are any; drawn from the table below it.
import { axis, colour, onThemeChange } from "./axes.js";

const canvas = document.getElementById("board-chart");
const select = document.getElementById("board-column");
const table = document.getElementById("board");
const COLOURS = { "measured here": "--chart-1", published: "--chart-2", "imported outputs, scored here": "--chart-3" };
let chart = null;

const whiskers = {
  id: "whiskers",
  afterDatasetsDraw(drawn) {
    const { ctx, scales } = drawn;
    ctx.save();
    ctx.strokeStyle = colour("--text");
    ctx.lineWidth = 1.5;
    drawn.getDatasetMeta(0).data.forEach((bar, number) => {
      const interval = drawn.data.datasets[0].intervals[number];
      if (!interval) return;
      const [low, high] = interval.map((value) => scales.x.getPixelForValue(value));
      ctx.beginPath();
      ctx.moveTo(low, bar.y);
      ctx.lineTo(high, bar.y);
      for (const end of [low, high]) { ctx.moveTo(end, bar.y - 4); ctx.lineTo(end, bar.y + 4); }
      ctx.stroke();
    });
    ctx.restore();
  },
};

function columns() {
  return [...table.tHead.rows[0].cells].flatMap((cell, index) => cell.dataset.column ? [{ index, words: cell.firstChild.textContent.trim(), average: ["text", "all"].includes(cell.dataset.column) }] : []);
}

function bars(index) {
  return [...table.tBodies].flatMap((body) => [...body.rows].flatMap((row) => {
    const cell = row.cells[index];
    if (!cell?.dataset.f1) return [];
    const interval = cell.dataset.low ? [Number(cell.dataset.low), Number(cell.dataset.high)] : null;
    const guard = row.cells[0].firstElementChild?.matches("a") ? row.cells[0].firstElementChild : row.cells[0].firstChild;
    return [{ guard: guard.textContent.trim(), origin: body.dataset.origin, words: body.dataset.originWords, f1: Number(cell.dataset.f1), interval }];
  }));
}

function draw() {
  const found = bars(Number(select.value));
  chart?.destroy();
  chart = new window.Chart(canvas, {
    type: "bar",
    data: {
      labels: found.map((bar) => bar.guard),
      datasets: [{ data: found.map((bar) => bar.f1), intervals: found.map((bar) => bar.interval),
        backgroundColor: found.map((bar) => colour(COLOURS[bar.origin])), maxBarThickness: 20, borderRadius: 3 }],
    },
    options: {
      indexAxis: "y", animation: false, responsive: true, maintainAspectRatio: false,
      plugins: { legend: { display: false }, tooltip: { displayColors: false, callbacks: { label: (item) => {
        const { words, interval } = found[item.dataIndex];
        const range = interval ? ` (${interpolate(gettext("%s to %s"), interval.map((value) => value.toFixed(1)))})` : "";
        return `F1 ${item.parsed.x.toFixed(2)}${range}, ${words}`;
      } } } },
      scales: { x: { min: 0, max: 100, ...axis(gettext("F1 in percent")) }, y: { ...axis(""), grid: { display: false } } },
    },
    plugins: [whiskers],
  });
}

if (canvas && table && window.Chart) {
  const offered = columns().filter((column) => bars(column.index).length);
  select.replaceChildren(...offered.map((column) => new Option(column.words, column.index)));
  // at first a benchmark, the one that most guards share: averages are over different sets
  const weight = (column) => bars(column.index).length - (column.average ? 1000 : 0);
  select.value = offered.reduce((best, column) => (weight(column) > weight(best) ? column : best), offered[0]).index;
  select.addEventListener("change", draw);
  draw();
  onThemeChange(draw);
}
