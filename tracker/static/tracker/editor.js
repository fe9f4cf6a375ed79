// Editors of lists: one empty row is enough, as a further one is a copy of the last, emptied.

function isEmpty(row) {
  const inputs = [...row.querySelectorAll("input, select")];
  return inputs.every((input) => (input.options ? input.selectedIndex < 1 : !input.value));
}

function dress() {
  for (const button of document.querySelectorAll("[data-editor-add][hidden]")) {
    button.hidden = false;
    const rows = [...button.parentElement.querySelectorAll("[data-editor-row]")];
    for (const row of rows.filter(isEmpty).slice(1)) row.remove();
  }
}

dress();
document.addEventListener("htmx:afterSettle", dress); // a form that comes back with errors

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
