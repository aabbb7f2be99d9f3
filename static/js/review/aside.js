// Decisions that the server refuses again and again: set aside in this browser with their text, so that the others are delivered.
import { announce } from "../shell/announce.js";

const MOST_SHOWN = 20; // letters that are shown at once
const main = () => document.getElementById("content");
const prefix = () => `aside:${main().dataset.person}:`;

function letters() {
  try {
    const keys = Object.keys(localStorage).filter((key) => key.startsWith(prefix()));
    return keys.map((key) => JSON.parse(localStorage.getItem(key))).sort((one, two) => one.at - two.at);
  } catch { return []; }
}

// What the person wrote: notes, reasons, edits; not the fields that the page filled in itself.
const written = (letter) => letter.fields
  .filter(([name, value]) => value.trim() && /^(note|reason|added|step-\d+-edit)$/.test(name))
  .map(([, value]) => value.trim())
  .join("\n\n");

function button(words, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "btn small";
  made.textContent = words;
  made.addEventListener("click", act);
  return made;
}

function card(letter, again) {
  const made = document.createElement("div");
  made.className = "notice error";
  const body = made.appendChild(document.createElement("div"));
  body.className = "notice-body";
  body.appendChild(document.createElement("p")).textContent = letter.item
    ? interpolate(gettext("Your decision on %s was not taken: the server ends with an error (%s). It is kept in this browser."), [letter.item, letter.status])
    : interpolate(gettext("A decision of yours was not taken: the server ends with an error (%s). It is kept in this browser."), [letter.status]);
  const text = written(letter);
  if (text) {
    const shown = body.appendChild(document.createElement("pre"));
    shown.className = "aside-text";
    shown.tabIndex = 0;
    shown.textContent = text;
  }
  const actions = body.appendChild(document.createElement("div"));
  actions.className = "notice-actions";
  actions.append(
    button(gettext("Send it again"), () => { discard(letter); again(letter); show(again); }),
    button(gettext("Discard it"), () => { discard(letter); show(again); }),
  );
  if (text) actions.insertBefore(button(gettext("Copy the text"), () => navigator.clipboard.writeText(text)), actions.lastChild);
  return made;
}

function discard(letter) {
  try { localStorage.removeItem(prefix() + letter.key); } catch { /* private mode */ }
}

// When the newest of them was decided, in milliseconds; 0 if there is none.
export const newestAside = () => letters().at(-1)?.at ?? 0;

// Shows what is set aside above the page; `again` sends a letter once more.
export function show(again) {
  let place = document.getElementById("aside-letters");
  if (!place) {
    place = document.createElement("section");
    place.id = "aside-letters";
    place.setAttribute("aria-label", gettext("Decisions that were not taken"));
    main().before(place);
  }
  place.replaceChildren(...letters().slice(0, MOST_SHOWN).map((letter) => card(letter, again)));
}

export function setAside(letter, status, again) {
  try { localStorage.setItem(prefix() + letter.key, JSON.stringify({ ...letter, status })); } catch { /* private mode */ }
  show(again);
  announce(gettext("A decision was not taken. It is kept above, and you can go on."));
}
