// Whether a key press belongs to an input method that is composing a character; Safari marks the last one by its code only.
export const composing = (event) => event.isComposing || event.keyCode === 229;

// Whether a key press belongs to a field the person is typing in.
const TEXT_TYPES = new Set(["text", "search", "url", "email", "password", "number", "tel", "date", "datetime-local", "time"]);

export function isTyping(event) {
  const element = event.target;
  if (!(element instanceof HTMLElement)) return false;
  if (element.isContentEditable || element.tagName === "TEXTAREA" || element.tagName === "SELECT") return true;
  return element.tagName === "INPUT" && TEXT_TYPES.has(element.type);
}
