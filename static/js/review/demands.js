// What the queue demands of a harmful verdict: said before the decision is sent, with the focus where it is missing.
import { announce } from "../shell/announce.js";

const form = () => document.getElementById("decision");
const given = {
  categories: (field) => field.querySelector("input:checked") !== null,
  severity: (field) => field.querySelector("input:checked") !== null,
  reason: (field) => field.querySelector("input").value.trim() !== "",
};

function findsHarm() {
  const taken = form().querySelector('input[name="take"]:checked')?.value; // of an adjudication
  const side = taken && taken !== "own" ? document.querySelector(`[data-side="${taken}"]`) : null;
  const labels = side
    ? [side.dataset.promptLabel, side.dataset.responseLabel]
    : [...form().querySelectorAll('[role="radiogroup"] input:checked')].map((radio) => radio.value);
  return labels.includes("harmful");
}

function missing() {
  if (!form() || !findsHarm()) return [];
  const own = !form().querySelector('input[name="take"]:checked:not([value="own"])');
  const asked = [...form().querySelectorAll("[data-demands]")].filter((field) => own || !field.closest(".own-decision"));
  return asked.filter((field) => !given[field.dataset.demands](field));
}

function made(name, className, text = "") {
  const element = Object.assign(document.createElement(name), { className, textContent: text });
  element.dataset.missing = "";
  return element;
}

// Above the page, and at each field for those who do not see that.
function say(fields) {
  const notice = made("div", "notice error");
  const body = made("div", "notice-body");
  for (const field of fields) {
    body.append(made("p", "", field.dataset.words));
    field.append(made("p", "field-error", field.dataset.words));
  }
  notice.append(body);
  document.getElementById("review-notice").replaceChildren(notice);
  announce(fields.map((field) => field.dataset.words).join(" "));
  document.querySelector(".decision [role=tab]")?.click(); // the tab with the fields
  fields[0].querySelector("input").focus();
  fields[0].scrollIntoView({ block: "nearest" });
}

// Before the listener that sends decisions behind the next item: what is refused here is never on its way.
document.addEventListener("htmx:confirm", (event) => {
  if (event.detail.elt !== form()) return;
  for (const old of document.querySelectorAll("[data-missing]")) old.remove();
  const fields = missing();
  if (!fields.length) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  say(fields);
}, { capture: true });
