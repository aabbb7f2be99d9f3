// F1 of two versions by task as bars with their intervals, drawn from the table beside it.
import { axis, colour, onThemeChange } from "./axes.js";

const canvas = document.getElementById("scores");
let chart = null;

const whiskers = {
  id: "whiskers",
  afterDatasetsDraw(drawn) {
    const { ctx, data, scales } = drawn;
    ctx.save();
    ctx.strokeStyle = colour("--text");
    ctx.lineWidth = 1.5;
    data.datasets.forEach((dataset, index) => {
      drawn.getDatasetMeta(index).data.forEach((bar, number) => {
        const [low, high] = dataset.intervals[number].map((value) => scales.x.getPixelForValue(value));
        ctx.beginPath();
        ctx.moveTo(low, bar.y);
        ctx.lineTo(high, bar.y);
        for (const end of [low, high]) { ctx.moveTo(end, bar.y - 4); ctx.lineTo(end, bar.y + 4); }
        ctx.stroke();
      });
    });
    ctx.restore();
  },
};

function draw() {
  const rows = [...document.querySelectorAll("#scores-table [data-task]")];
  const tasks = [...new Set(rows.map((row) => row.dataset.task))];
  const side = (number) => rows.filter((row) => row.dataset.side === String(number));
  chart?.destroy();
  chart = new window.Chart(canvas, {
    type: "bar",
    data: {
      labels: tasks,
      datasets: [0, 1].map((number) => ({
        data: side(number).map((row) => Number(row.dataset.f1)),
        intervals: side(number).map((row) => [Number(row.dataset.low), Number(row.dataset.high)]),
        backgroundColor: colour(number ? "--chart-2" : "--chart-1"), maxBarThickness: 22, categoryPercentage: 0.55, barPercentage: 0.9, borderRadius: 3,
      })),
    },
    options: {
      indexAxis: "y", animation: false, responsive: true, maintainAspectRatio: false,
      plugins: { legend: { display: false }, tooltip: { displayColors: false, callbacks: { label: (item) => {
        const [low, high] = item.dataset.intervals[item.dataIndex];
        return interpolate(gettext("F1 %s (%s to %s)"), [item.parsed.x, low, high].map((value) => value.toFixed(3)));
      } } } },
      scales: { x: { min: 0, max: 1, ...axis("F1") }, y: { ...axis(""), grid: { display: false } } },
    },
    plugins: [whiskers],
  });
}

if (canvas && window.Chart) {
  draw();
  onThemeChange(draw);
}
