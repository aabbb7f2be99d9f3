// Whether single-letter keys are on: each person may switch them off in the help dialog.
export function singleKeysOn() {
  try { return localStorage.getItem("single-keys") !== "off"; } catch { return true; }
}

export function keepSingleKeys(on) {
  try { localStorage.setItem("single-keys", on ? "on" : "off"); } catch { /* private mode: on for this page */ }
}
