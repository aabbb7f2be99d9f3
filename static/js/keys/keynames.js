// What a key press is called: the same names on the server, on buttons and in a person's own keys.
import { composing } from "../shell/typing.js";

const SIGNS = { Comma: ",", Period: ".", Slash: "/", Semicolon: ";", Quote: "'", BracketLeft: "[", BracketRight: "]",
  Backquote: "`", Minus: "-", Equal: "=", Backslash: "\\" };

// The character, where the layout writes Latin ones; else what a Latin layout has at that place (Cyrillic, Greek, Hebrew, …).
// Digits go by their place, since AZERTY writes them with Shift only.
function characterOf(event) {
  const { key, code } = event;
  if (key.length !== 1) return key;
  if (/^Digit\d$/.test(code) && !event.shiftKey) return code.at(-1);
  if (/^[\x20-\x7e]$/.test(key)) return key;
  if (/^Key[A-Z]$/.test(code)) return event.shiftKey ? code.at(-1) : code.at(-1).toLowerCase();
  return SIGNS[code] ?? key;
}

export function nameOf(event) {
  if (composing(event)) return "";
  const character = characterOf(event);
  const key = character.length === 1 && !event.shiftKey ? character.toLowerCase() : character;
  if (event.ctrlKey || event.metaKey) return `Control+${key.length === 1 ? key.toLowerCase() : key}`;
  if (event.altKey) return "";
  if (event.shiftKey && /^[a-z]$/i.test(key)) return `Shift+${key.toUpperCase()}`;
  return key;
}

export const printed = (name) => name.replace("Control+", "Ctrl ").replace("Shift+", "⇧ ").replace(/^ $/, gettext("space"));
