// Words of the prompt and the response as characters [start, end) of the stored text. The server counts code points, the page
// UTF-16 units: they differ after an emoji.
const said = (field) => document.querySelector(`[data-said="${field}"]`);
const points = (text) => [...text].length;
const units = (text, count) => [...text].slice(0, count).join("").length;
let selected = null;

function offset(element, node, at) {
  const before = document.createRange();
  before.setStart(element, 0);
  before.setEnd(node, at);
  return before.toString().length;
}

function link(field, text, start, end) {
  const words = text.slice(start, end);
  const from = start + words.length - words.trimStart().length;
  const to = start + words.trimEnd().length;
  if (to <= from) return null;
  return { kind: "span", field, start: points(text.slice(0, from)), end: points(text.slice(0, to)) };
}

// The selection is remembered: pressing a button may end it.
document.addEventListener("selectionchange", () => {
  const selection = document.getSelection();
  if (!selection.rangeCount) return;
  const range = selection.getRangeAt(0);
  const around = range.commonAncestorContainer;
  const element = (around.nodeType === Node.TEXT_NODE ? around.parentElement : around).closest?.("[data-said]");
  if (!element) return;
  selected = range.collapsed ? null : link(element.dataset.said, element.textContent,
    offset(element, range.startContainer, range.startOffset), offset(element, range.endContainer, range.endOffset));
});
document.addEventListener("item:arrived", () => { selected = null; });

export function selectedWords() {
  const found = selected;
  selected = null;
  return found;
}

export function findWords(typed) {
  const wanted = typed.trim().toLowerCase();
  for (const element of wanted ? document.querySelectorAll("[data-said]") : []) {
    const text = element.textContent;
    const at = text.toLowerCase().indexOf(wanted);
    if (at >= 0) return link(element.dataset.said, text, at, at + wanted.length);
  }
  return null;
}

export function wordsOf({ field, start, end }) {
  return [...(said(field)?.textContent || "")].slice(start, end).join("");
}

export function showWords(span) {
  CSS.highlights?.delete("linked-words");
  const text = span && said(span.field)?.firstChild;
  if (!text) return;
  const range = document.createRange();
  range.setStart(text, units(text.data, span.start));
  range.setEnd(text, units(text.data, span.end));
  if (CSS.highlights) CSS.highlights.set("linked-words", new Highlight(range));
  else {
    document.getSelection().removeAllRanges();
    document.getSelection().addRange(range);
  }
  text.parentElement.scrollIntoView({ block: "nearest" });
  // a long text is higher than its pane: the beginning of the words must be seen
  const pane = text.parentElement.closest(".pane-body");
  const first = range.getClientRects()[0];
  if (!pane || !first) return;
  const frame = pane.getBoundingClientRect();
  if (first.top < frame.top || first.bottom > frame.bottom) pane.scrollTop += first.top - frame.top - frame.height / 4;
}
