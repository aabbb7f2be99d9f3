// The next item is leased and fetched early. A decision then shows it at once and is sent behind it; the idempotency key makes
// sending again safe, and what could not be sent yet is kept in this tab until it is.
import { announce } from "./announce.js";
import { withToken } from "./csrf.js";
import { takeSeconds } from "./exposure.js";

const OUTBOX = "outbox";
const IDLE_MS = 400;
const PAUSES_S = [1, 2, 4, 8, 15];
let next = null; // {token, html} of the item leased ahead
let sending = Promise.resolve();
let waiting = 0; // decisions that the server has not got yet
let timer = 0;

const main = () => document.getElementById("content");
const form = () => document.getElementById("decision");
const say = (text) => {
  const place = document.getElementById("saved");
  if (place) place.textContent = text;
};

function kept() {
  try { return JSON.parse(sessionStorage.getItem(OUTBOX)) || []; } catch { return []; }
}
function keep(letters) {
  try { sessionStorage.setItem(OUTBOX, JSON.stringify(letters)); } catch { /* private mode: only this page keeps it */ }
}

async function look() {
  const url = form()?.dataset.aheadUrl;
  if (!url || next) return;
  try {
    const answer = await fetch(url, { method: "POST", body: withToken(new FormData()) });
    if (answer.status !== 200 || answer.redirected) return;
    next = await answer.json();
    for (const src of next.frames.slice(0, 16)) new Image().src = src;
  } catch { /* offline: the next page comes the ordinary way */ }
}

function lookSoon() {
  clearTimeout(timer);
  timer = setTimeout(() => sending.then(look), IDLE_MS);
}

const complete = (data) => [...form().querySelectorAll("[role=radiogroup] input[type=radio]")]
  .every((radio) => data.get(radio.name));

async function post(letter) {
  const body = new FormData();
  for (const [name, value] of letter.fields) body.append(name, value);
  return fetch(letter.url, { method: "POST", body: withToken(body), headers: { "HX-Request": "true" }, keepalive: true });
}

const pause = (seconds) => new Promise((done) => { setTimeout(done, seconds * 1000); });

// True: the server has it. An answer that refuses it brings the item back with the reason.
async function send(letter, before) {
  for (let turn = 0; ; turn += 1) {
    try {
      const answer = await post(letter);
      if (answer.status < 500 && answer.status !== 401 && answer.status !== 403) {
        keep(kept().filter((one) => one.key !== letter.key));
        if (answer.status === 204) return true;
        const html = await answer.text();
        if (answer.ok) show(html); // the hold on the item ahead ran out: the server chose another
        else bringBack(before, html);
        return answer.ok;
      }
    } catch { /* no connection: again below */ }
    say(gettext("Not sent yet: trying again"));
    await pause(PAUSES_S[Math.min(turn, PAUSES_S.length - 1)]);
  }
}

function show(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html.trim();
  const fresh = holder.content.querySelector("main#content");
  if (!fresh) return;
  main().replaceWith(fresh);
  window.htmx.process(fresh);
  document.dispatchEvent(new CustomEvent("htmx:afterSwap"));
  fresh.dispatchEvent(new CustomEvent("htmx:afterSettle", { bubbles: true }));
}

function bringBack(before, notice) {
  if (!before) return;
  main().replaceWith(before);
  window.htmx.process(before);
  document.getElementById("review-notice").innerHTML = notice;
  announce(gettext("The decision was not taken. The item is back."));
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
    data.set("opens", next.token);
    const letter = { key: data.get("idempotency_key"), url: event.detail.path, fields: [...data.entries()].filter(([, value]) => typeof value === "string") };
    const { html } = next;
    const before = main();
    next = null;
    keep([...kept(), letter]);
    show(html);
    waiting += 1;
    sending = sending.then(() => send(letter, before)).then(() => { waiting -= 1; lookSoon(); });
    return;
  }
  if (event.detail.path.includes("/undo/")) next = null; // what was undone comes first
  if (waiting && event.detail.verb !== "get") { // one after the other: the server must have the decision before
    event.preventDefault();
    event.stopImmediatePropagation();
    document.body.toggleAttribute("data-waits", true);
    sending.then(() => {
      document.body.toggleAttribute("data-waits", false);
      event.detail.issueRequest(true);
    });
  }
}, { capture: true });

document.addEventListener("item:arrived", lookSoon);
window.addEventListener("beforeunload", (event) => { if (kept().length) event.preventDefault(); });

// what a closed or crashed page did not get sent; the server knows each key it has seen
for (const letter of kept()) sending = sending.then(() => send({ ...letter, fields: letter.fields.filter(([name]) => name !== "opens") }, null));
sending.then(lookSoon);
