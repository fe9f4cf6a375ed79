// Editors of lists: a further row is a copy of the last one, emptied.

for (const button of document.querySelectorAll("[data-editor-add]")) button.hidden = false;

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-editor-add]");
  if (!button) return;
  const rows = button.parentElement.querySelectorAll("[data-editor-row]");
  const row = rows[rows.length - 1].cloneNode(true);
  for (const input of row.querySelectorAll("input, select")) {
    input.value = "";
    if (input.selectedIndex === -1) input.selectedIndex = 0;
    input.setAttribute("aria-label", input.getAttribute("aria-label").replace(/\d+$/, rows.length + 1));
  }
  button.before(row);
  row.querySelector("input, select").focus();
});
