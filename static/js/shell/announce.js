// Says a sentence once to people who listen to the page.
export function announce(text) {
  const place = document.getElementById("announcer");
  if (!place || !text.trim()) return;
  place.textContent = "";
  setTimeout(() => { place.textContent = text; }, 50); // an unchanged text would not be read again
}
