// The run page: asks for what is new since it last asked, while the run lives. Without this file a reload shows the same.
import { announce } from "../shell/announce.js";
import { fieldsOfThePage, show } from "./run-charts.js";
import { Figures } from "./run-figures.js";

const POLL_MS = 2000;
const page = document.getElementById("run");
const figures = new Figures(fieldsOfThePage);
const text = (id, value) => { const node = document.getElementById(id); if (node && node.textContent !== value) node.textContent = value; };
let cursor = 0;
let before = null;
let hazards = page.dataset.hazards.trim();

function tell(state) {
  document.getElementById("run-bar").value = state.share;
  text("run-stage", state.cancelling ? gettext("Stopping at the next step") : state.stage);
  text("run-heartbeat", state.heartbeat);
  document.getElementById("run-heartbeat").classList.toggle("late", state.quiet);
  if (state.running) {
    text("run-done", state.total ? interpolate(gettext("%s of %s"), [state.done, state.total]) : "");
    text("run-eta", state.eta ? interpolate(gettext("About %s left in this stage."), [state.eta]) : "");
  }
  const log = document.getElementById("run-log");
  if (state.log && log.textContent !== state.log) {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.textContent = state.log;
    if (atEnd) log.scrollTop = log.scrollHeight;
  }
  if (hazards !== state.hazards.join(" ")) {
    hazards = state.hazards.join(" ");
    window.htmx?.trigger("#hazards", "hazards-changed");
  }
}

// A status that changed changes buttons and badges: the server draws them.
function changed(state) {
  const now = [state.status, ...state.evaluations.map((one) => one.status), ...state.pipeline].join();
  const first = before === null;
  const differs = !first && before !== now;
  before = now;
  if (differs) announce(state.words);
  return differs;
}

async function poll() {
  try {
    const answer = await fetch(`${page.dataset.state}?cursor=${cursor}`, { headers: { Accept: "application/json" } });
    if (answer.ok) {
      const state = await answer.json();
      if (changed(state)) {
        location.reload();
        return;
      }
      tell(state);
      if (state.rows.length || cursor === 0) {
        figures.add(state.rows);
        show(figures);
      }
      cursor = state.cursor;
      if (state.settled) return;
    }
  } catch { /* the server is away for a moment: ask again */ }
  setTimeout(poll, document.hidden ? 5 * POLL_MS : POLL_MS);
}

const log = document.getElementById("run-log");
log.scrollTop = log.scrollHeight;
poll();
