// Ctrl+K: everything that this page can do, every place, and items by a pasted id.
import { nameOf } from "../keys/keynames.js";
import { composing, isTyping } from "./typing.js";

const dialog = document.getElementById("palette");
const input = dialog?.querySelector("input");
const list = dialog?.querySelector("[role=listbox]");
let options = [];
let at = 0;
let asked = 0;

const wordsOf = (element) => {
  const copy = element.cloneNode(true);
  copy.querySelectorAll("kbd, svg").forEach((part) => part.remove());
  return (element.getAttribute("aria-label") || copy.textContent).replace(/\s+/g, " ").trim();
};
const visible = (element) => element.getClientRects().length > 0;

function actions() {
  return [...document.querySelectorAll("#content [data-key]")].filter(visible).map((element) => ({
    words: wordsOf(element), sub: element.querySelector("kbd")?.textContent || "", run: () => element.click(),
  }));
}

function places() {
  return [...document.querySelectorAll(".topbar .nav a, .topbar .menu-panel a")].map((link) => ({
    words: wordsOf(link), sub: gettext("Page"), run: () => { location.href = link.href; },
  }));
}

function show(found) {
  options = found;
  at = 0;
  list.replaceChildren(...found.map((option, index) => {
    const row = document.createElement("li");
    row.id = `palette-${index}`;
    row.setAttribute("role", "option");
    const words = document.createElement("span");
    const sub = document.createElement("span");
    words.textContent = option.words;
    sub.textContent = option.sub;
    sub.className = "muted small";
    row.append(words, sub);
    row.addEventListener("click", () => run(index));
    return row;
  }));
  mark();
}

function mark() {
  [...list.children].forEach((row, index) => row.setAttribute("aria-selected", String(index === at)));
  if (options.length) input.setAttribute("aria-activedescendant", `palette-${at}`);
  else input.removeAttribute("aria-activedescendant");
  list.children[at]?.scrollIntoView({ block: "nearest" });
}

function run(index) {
  const option = options[index];
  if (!option) return;
  dialog.close();
  option.run();
}

async function search() {
  const query = input.value.trim().toLowerCase();
  const mine = ++asked;
  const seen = new Set();
  const local = [...actions(), ...places()].filter(({ words }) => {
    const fresh = words && !seen.has(words) && words.toLowerCase().includes(query);
    seen.add(words);
    return fresh;
  });
  show(local);
  try {
    const answer = await fetch(`${dialog.dataset.url}?q=${encodeURIComponent(input.value.trim())}`);
    if (!answer.ok || mine !== asked) return;
    const { found } = await answer.json();
    show([...local, ...found.map((one) => ({ ...one, run: () => { location.href = one.url; } }))]);
  } catch { /* offline: what the page can do by itself is still there */ }
}

if (dialog) {
  document.addEventListener("keydown", (event) => {
    if (nameOf(event) !== "Control+k") return;
    event.preventDefault();
    if (dialog.open) dialog.close();
    else if (!document.querySelector("dialog[open]")) {
      dialog.showModal();
      input.value = "";
      search();
    }
  });
  input.addEventListener("input", search);
  input.addEventListener("keydown", (event) => {
    if (composing(event)) return; // Enter ends the composition and nothing else
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      at = Math.min(options.length - 1, Math.max(0, at + (event.key === "ArrowDown" ? 1 : -1)));
      mark();
    } else if (event.key === "Enter" && isTyping(event)) {
      event.preventDefault();
      run(at);
    }
  });
}
