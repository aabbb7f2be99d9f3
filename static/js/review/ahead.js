// The next item is leased and fetched early. A decision then shows it at once and is sent behind it; the idempotency key makes
// sending again safe, and what could not be sent yet is kept in this browser until it is: see docs/adr/0006.
import { announce } from "../shell/announce.js";
import { takeActive } from "./active.js";
import { withToken } from "../shell/csrf.js";
import { newestAside, setAside, show as showAside } from "./aside.js";
import { takeSeconds } from "./exposure.js";

const KEEPALIVE_MOST = 60_000; // characters; browsers refuse a larger body that is to outlive its page
const IDLE_MS = 50; // the frame that shows an item comes before the request for the next one
const PAUSES_S = [1, 2, 4, 8, 15];
const AWAY = [502, 503, 504, 507]; // a part of the server is away: that ends, an error of the program does not
const SAME_ERRORS = 3; // after so many equal ones a letter is set aside
let next = null; // {token, fresh: its page} of the item leased ahead
let sending = Promise.resolve();
let waiting = 0; // decisions that the server has not got yet
let timer = 0;

const main = () => document.getElementById("content");
const form = () => document.getElementById("decision");
const say = (text) => {
  const place = document.getElementById("saved");
  if (place) place.textContent = text;
};

// one entry a letter, so that two tabs never write over each other; a person's letters wait for that person to sign in again
const outbox = () => `outbox:${main().dataset.person}:`;

function kept() {
  try {
    const keys = Object.keys(localStorage).filter((key) => key.startsWith(outbox()));
    return keys.map((key) => JSON.parse(localStorage.getItem(key))).sort((one, two) => one.at - two.at);
  } catch { return []; }
}
function keep(letter) {
  try { localStorage.setItem(outbox() + letter.key, JSON.stringify(letter)); } catch { /* private mode: only this page keeps it */ }
}
function forget(letter) {
  try { localStorage.removeItem(outbox() + letter.key); } catch { /* private mode */ }
}

// When the newest decision that the server has was made: what is set aside later is newer than anything that an undo would find.
const takenKey = () => `taken:${main().dataset.person}`;
function taken(at = Date.now()) {
  try { localStorage.setItem(takenKey(), Math.max(at, lastTaken())); } catch { /* private mode */ }
}
function lastTaken() {
  try { return Number(localStorage.getItem(takenKey())) || 0; } catch { return 0; }
}

async function look() {
  const shown = form();
  const url = shown?.dataset.aheadUrl;
  if (!url || next) return;
  try {
    const answer = await fetch(url, { method: "POST", body: withToken(new FormData()) });
    if (answer.status !== 200 || answer.redirected) return;
    const { token, html, frames } = await answer.json();
    if (form() !== shown) return; // decided meanwhile: this may be the item that is on screen now
    next = { token, fresh: parsed(html) };
    for (const src of frames.slice(0, 16)) new Image().src = src;
  } catch { /* offline: the next page comes the ordinary way */ }
}

function lookSoon() {
  clearTimeout(timer);
  timer = setTimeout(() => sending.then(look), IDLE_MS);
}

const held = (address) => address.match(/\/assignments\/([^/]+)\//)?.[1]; // the token in an address
const complete = (data) => [...form().querySelectorAll("[role=radiogroup] input[type=radio]")]
  .every((radio) => data.get(radio.name));

async function post(letter) {
  const body = new FormData();
  for (const [name, value] of letter.fields) body.append(name, value);
  const keepalive = letter.fields.flat().join("").length < KEEPALIVE_MOST;
  return fetch(letter.url, { method: "POST", body: withToken(body), headers: { "HX-Request": "true" }, keepalive });
}

const pause = (seconds) => new Promise((done) => { setTimeout(done, seconds * 1000); });

// The server's answer, however long that takes; from then on the letter is no longer kept. An error that stays the same sets it aside.
async function deliver(letter) {
  let [before, same] = [0, 0];
  for (let turn = 0; ; turn += 1) {
    try {
      const answer = await post(letter);
      if (answer.status < 500 && answer.status !== 401 && answer.status !== 403) {
        const html = await answer.text();
        forget(letter);
        if (answer.ok) taken(letter.at);
        if (turn) say("");
        return { ok: answer.ok, html };
      }
      same = answer.status === before ? same + 1 : 1;
      before = answer.status;
      if (same >= SAME_ERRORS && answer.status >= 500 && !AWAY.includes(answer.status)) {
        forget(letter);
        say("");
        setAside(letter, answer.status, again);
        return { ok: true, html: "" };
      }
    } catch { same = 0; /* no connection: again below */ }
    say(gettext("Not sent yet: trying again"));
    await pause(PAUSES_S[Math.min(turn, PAUSES_S.length - 1)]);
  }
}

// An answer that refuses the decision brings the item back with the reason.
async function send(letter, before) {
  const { ok, html } = await deliver(letter);
  if (!ok) bringBack(before, html);
  else if (html) show(parsed(html)); // the hold on the item ahead ran out: the server chose another
}

// What a closed or crashed page did not get sent. The server may have it: it knows each decision that it has seen.
async function replay(letter) {
  const fields = letter.fields.filter(([name]) => name !== "opens");
  const { ok, html } = await deliver({ ...letter, fields });
  if (!ok) tell(html);
  else if (form() && held(form().getAttribute("action")) === held(letter.url)) show(parsed(html)); // its item is on screen
}

function again(letter) {
  keep(letter);
  queue(() => replay(letter));
}

function parsed(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  return holder.content.querySelector("main#content");
}

function show(fresh) {
  if (!fresh) return;
  main().replaceWith(fresh);
  window.htmx.process(fresh);
  document.dispatchEvent(new CustomEvent("htmx:afterSwap"));
  fresh.dispatchEvent(new CustomEvent("htmx:afterSettle", { bubbles: true }));
}

function tell(notice) {
  const place = document.getElementById("review-notice");
  place.innerHTML = notice;
  window.htmx.process(place);
}

function bringBack(before, notice) {
  main().replaceWith(before);
  window.htmx.process(before);
  tell(notice);
  announce(gettext("The decision was not taken. The item is back."));
}

function sayAsideFirst() {
  const words = gettext("Your last decision was not taken: it is kept above the page. Send it again or discard it. Nothing older was undone.");
  const place = document.getElementById("review-notice");
  const notice = document.createElement("div");
  notice.className = "notice warning";
  notice.setAttribute("role", "alert");
  notice.textContent = words;
  place.replaceChildren(notice);
}

// One after the other, in the order of the decisions.
function queue(work) {
  waiting += 1;
  sending = sending.then(work).then(() => { waiting -= 1; });
  return sending;
}

document.addEventListener("htmx:confirm", (event) => {
  const from = form();
  const isForm = from && (event.detail.elt === from || event.detail.elt.matches?.("[hx-post*='/skip/']"));
  const reveal = event.detail.path.includes("/reveal/");
  if (isForm && next && !reveal && document.getElementById("review-notice")?.childElementCount === 0) {
    const data = new FormData(from);
    if (event.detail.elt === from && !complete(data)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    data.set("unblurred", takeSeconds());
    data.set("active", takeActive());
    data.set("opens", next.token);
    const fields = [...data.entries()].filter(([, value]) => typeof value === "string");
    const item = main().dataset.item || "";
    const letter = { key: data.get("idempotency_key"), at: Date.now(), url: event.detail.path, fields, item };
    const { fresh } = next;
    const before = main();
    next = null;
    keep(letter);
    show(fresh);
    queue(() => send(letter, before)).then(lookSoon);
    return;
  }
  if (event.detail.path.includes("/undo/")) {
    next = null; // what was undone comes first
    if (!waiting && newestAside() > lastTaken()) {
      event.preventDefault();
      event.stopImmediatePropagation();
      sayAsideFirst();
      return;
    }
  }
  if (waiting && event.detail.verb !== "get") { // one after the other: the server must have the decision before
    event.preventDefault();
    event.stopImmediatePropagation();
    document.body.toggleAttribute("data-waits", true);
    sending.then(() => {
      document.body.toggleAttribute("data-waits", false);
      if (event.detail.path.includes("/undo/") && newestAside() > lastTaken()) sayAsideFirst();
      else event.detail.issueRequest(true);
    });
  }
}, { capture: true });

document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful && /\/(submit|skip|escalate)\/$/.test(event.detail.pathInfo.requestPath)) taken();
});

document.addEventListener("item:arrived", () => {
  if (next && form()?.getAttribute("action").includes(next.token)) next = null; // the server has opened what was ahead
  lookSoon();
});
window.addEventListener("beforeunload", (event) => { if (kept().length) event.preventDefault(); });

showAside(again);
for (const letter of kept()) queue(() => replay(letter));
sending.then(lookSoon);
