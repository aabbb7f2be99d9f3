// What a key press is called: the same names on the server, on buttons and in a person's own keys.
export function nameOf(event) {
  const key = event.key.length === 1 && !event.shiftKey ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) return `Control+${key.length === 1 ? key.toLowerCase() : key}`;
  if (event.altKey) return "";
  if (event.shiftKey && /^[a-z]$/i.test(key)) return `Shift+${key.toUpperCase()}`;
  return key;
}

export const printed = (name) => name.replace("Control+", "Ctrl ").replace("Shift+", "⇧ ").replace(/^ $/, gettext("space"));
