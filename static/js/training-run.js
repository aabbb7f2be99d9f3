// The run page: asks for the run's state while it lives, and draws the loss curve. Without this file a reload does the same.
import { axis, colour, onThemeChange } from "./training-chart.js";

const POLL_MS = 2000;
const page = document.getElementById("run");
const text = (id, value) => { const node = document.getElementById(id); if (node && node.textContent !== value) node.textContent = value; };
let chart = null;
let status = page.dataset.status;
let known = null;

function draw(points) {
  document.getElementById("loss-empty").hidden = points.length > 0;
  if (!points.length || !window.Chart) return;
  const data = points.map(([step, loss]) => ({ x: step, y: loss }));
  if (chart) {
    chart.data.datasets[0].data = data;
    chart.update("none");
    return;
  }
  chart = new window.Chart(document.getElementById("loss"), {
    type: "line",
    data: { datasets: [{ data, borderColor: colour("--chart-1"), backgroundColor: colour("--chart-1"), borderWidth: 2, pointRadius: data.length > 1 ? 0 : 3, pointHitRadius: 12, tension: 0 }] },
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, interaction: { mode: "nearest", axis: "x", intersect: false },
      plugins: { legend: { display: false }, tooltip: { displayColors: false, callbacks: { title: (items) => `Step ${items[0].parsed.x}`, label: (item) => `loss ${item.parsed.y.toFixed(4)}` } } },
      scales: { x: { type: "linear", ...axis("step") }, y: { beginAtZero: true, ...axis("loss") } },
    },
  });
}

function table(points) {
  const body = document.getElementById("loss-rows");
  body.replaceChildren(...points.map(([step, loss, lr]) => {
    const row = document.createElement("tr");
    for (const value of [String(step), loss.toFixed(4), lr.toExponential(2)]) {
      const cell = row.insertCell();
      cell.className = "num";
      cell.textContent = value;
    }
    return row;
  }));
}

function show(state) {
  const bar = document.getElementById("run-bar");
  bar.value = state.share;
  text("run-stage", state.cancelling ? "Stopping at the next step" : state.stage);
  if (state.running) {
    text("run-done", state.total ? `${state.done} of ${state.total}` : "");
    text("run-eta", state.eta ? `About ${state.eta} left in this stage.` : "");
  }
  const log = document.getElementById("run-log");
  if (state.log && log.textContent !== state.log) {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.textContent = state.log;
    if (atEnd) log.scrollTop = log.scrollHeight;
  }
  draw(state.points);
  if (known !== state.points.length) table(state.points);
  known = state.points.length;
}

async function poll() {
  try {
    const answer = await fetch(page.dataset.state, { headers: { Accept: "application/json" } });
    if (answer.ok) {
      const state = await answer.json();
      const now = [state.status, ...state.evaluations.map((one) => one.status)].join();
      if (poll.before !== undefined && poll.before !== now) {
        document.getElementById("announcer").textContent = state.words;
        location.reload(); // buttons and badges change: the server draws them
        return;
      }
      poll.before = now;
      status = state.status;
      show(state);
      if (state.settled) return;
    }
  } catch { /* the server is away for a moment: ask again */ }
  setTimeout(poll, document.hidden ? 5 * POLL_MS : POLL_MS);
}

const log = document.getElementById("run-log");
log.scrollTop = log.scrollHeight;
onThemeChange(() => {
  const points = chart?.data.datasets[0].data.map(({ x, y }) => [x, y]);
  chart?.destroy();
  chart = null;
  if (points) draw(points);
});
poll();
