// Ticks of the grid: all at once, a range with shift, and how many there are.

const form = document.querySelector("[data-grid]");
const boxes = [...form.querySelectorAll('input[name="row"]')];
const all = form.querySelector("[data-tick-all]");
const said = form.querySelector("[data-ticked]");
const button = form.querySelector("[data-of-ticked]");
let last = null;

function tell() {
  const ticked = boxes.filter((box) => box.checked).length;
  said.hidden = !ticked;
  said.textContent = ` · ${ticked} ticked`;
  if (all) {
    all.checked = ticked > 0 && ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
  }
  if (button) {
    button.disabled = !ticked;
    button.textContent = ticked ? `Export the ${ticked} ticked` : "Export the ticked rows";
  }
}

form.addEventListener("click", (event) => {
  const at = boxes.indexOf(event.target);
  if (at < 0) return;
  if (event.shiftKey && last !== null) {
    const [from, to] = [Math.min(at, last), Math.max(at, last)];
    for (const box of boxes.slice(from, to + 1)) box.checked = event.target.checked;
  }
  last = at;
});

form.addEventListener("change", (event) => {
  if (event.target === all) for (const box of boxes) box.checked = all.checked;
  tell();
});

// One menu at a time, and none when somebody clicks beside it or presses Escape.
const menus = [...form.querySelectorAll(".menu-box")];

function close(except) {
  for (const menu of menus) if (menu !== except) menu.open = false;
}

document.addEventListener("click", (event) => close(event.target.closest(".menu-box")));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = menus.find((menu) => menu.open);
  close(null);
  open?.querySelector("summary").focus();
});

if (all) all.hidden = boxes.length === 0;
tell();

// Of a filter only what its operator needs; without this script every input is there.
const filter = document.querySelector("[data-filter]");

function fit() {
  const operator = filter.elements.operator.value;
  const alone = ["empty", "not empty", "is true", "is false"].includes(operator);
  const parts = { value: alone, until: operator !== "between" };
  for (const [name, unused] of Object.entries(parts)) {
    const part = filter.querySelector(`[data-${name}]`);
    if (part) part.hidden = unused;
  }
}

if (filter) {
  filter.elements.operator.addEventListener("change", fit);
  fit();
}
