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

function say(fields) {
  const notice = document.createElement("div");
  notice.className = "notice error";
  notice.setAttribute("role", "alert");
  notice.dataset.missing = "";
  for (const field of fields) notice.append(Object.assign(document.createElement("p"), { textContent: field.dataset.words }));
  document.getElementById("review-notice").replaceChildren(notice);
  announce(fields.map((field) => field.dataset.words).join(" "));
  document.querySelector(".decision [role=tab]")?.click(); // the tab with the fields
  fields[0].querySelector("input").focus();
  fields[0].scrollIntoView({ block: "nearest" });
}

// Before the listener that sends decisions behind the next item: what is refused here is never on its way.
document.addEventListener("htmx:confirm", (event) => {
  if (event.detail.elt !== form()) return;
  document.querySelector("#review-notice [data-missing]")?.remove();
  const fields = missing();
  if (!fields.length) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  say(fields);
}, { capture: true });
