// What every page can do besides: local times, running durations, dialogs, rows, theme.

const local = (options) => new Intl.DateTimeFormat("en-GB", { hourCycle: "h23", ...options });
const TIME = local({ hour: "2-digit", minute: "2-digit" });
const SECOND = local({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = local({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const DATE = local({ day: "numeric", month: "short" });
const YEAR = local({ day: "numeric", month: "short", year: "numeric" });
const FULL = local({ dateStyle: "long", timeStyle: "long" });

function inWords(moment, exact) {
  const now = new Date();
  const isToday = moment.toDateString() === now.toDateString();
  if (exact === "minute") return DAY.format(moment);
  if (exact !== undefined) return `${isToday ? "" : `${DATE.format(moment)}, `}${SECOND.format(moment)}`;
  if (isToday) return `Today ${TIME.format(moment)}`;
  return (moment.getFullYear() === now.getFullYear() ? DAY : YEAR).format(moment);
}

export function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

// --- Times ----------------------------------------------------------------------------------

const begun = new WeakMap();

function dress(root) {
  for (const element of root.querySelectorAll("time[datetime]:not([data-local])")) {
    const moment = new Date(element.dateTime);
    element.dataset.local = "";
    element.title = FULL.format(moment);
    element.textContent = inWords(moment, element.dataset.exact);
  }
  for (const element of root.querySelectorAll("[hidden][data-copy], [hidden][data-dismiss]")) {
    element.hidden = false;
  }
}

function tick() {
  const now = performance.now();
  for (const element of document.querySelectorAll("[data-seconds], [data-left]")) {
    if (!begun.has(element)) begun.set(element, now);
    const passed = (now - begun.get(element)) / 1000;
    const { seconds, left } = element.dataset;
    element.textContent = duration(left ? Number(left) - passed : Number(seconds) + passed);
  }
}

dress(document);
new MutationObserver((changes) => {
  for (const change of changes) {
    for (const node of change.addedNodes) if (node.nodeType === 1) dress(node.parentNode);
  }
}).observe(document.body, { childList: true, subtree: true });
setInterval(tick, 1000);
tick();

// --- Dialogs: a link to a form opens here; without this script it is a page of its own --------

const dialog = document.getElementById("dialog");

async function open(link) {
  dialog.replaceChildren();
  await window.htmx.ajax("GET", link.href, { target: dialog, swap: "innerHTML" });
  if (dialog.querySelector("form")) dialog.showModal();
  else location.assign(link.href);
}

// --- Clicks ---------------------------------------------------------------------------------

function openRow(event) {
  const row = event.target.closest("tr[data-href]");
  if (!row || event.target.closest("a, button, [aria-disabled]")) return;
  if (String(getSelection())) return;
  if (event.ctrlKey || event.metaKey) window.open(row.dataset.href, "_blank", "noopener");
  else location.assign(row.dataset.href);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-dialog]");
  if (link && dialog && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    open(link);
  } else if (event.target === dialog || (dialog?.open && event.target.closest("[data-close]"))) {
    event.preventDefault();
    dialog.close();
  } else if (event.target.closest("[data-dismiss]")) {
    event.target.closest(".flash").remove();
  } else if (event.target.closest("[data-copy]")) {
    copy(event.target.closest("[data-copy]"));
  } else {
    openRow(event);
  }
});

async function copy(button) {
  await navigator.clipboard.writeText(button.parentElement.querySelector("pre").textContent);
  button.lastChild.textContent = "Copied";
}

// --- Where one is: menus that scroll begin at what is current ----------------------------------

for (const current of document.querySelectorAll(".menu [aria-current], .tabs [aria-current]")) {
  const bar = current.parentElement;
  bar.scrollLeft = current.offsetLeft - bar.offsetLeft - (bar.clientWidth - current.offsetWidth) / 2;
}

// --- Forms that search: no empty words in the address, and a choice counts at once -------------

document.addEventListener("formdata", (event) => {
  if (!event.target.matches("[data-tidy]")) return;
  for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
});
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-tidy] select")) event.target.form.requestSubmit();
});

// --- Theme ----------------------------------------------------------------------------------

const themeSwitch = document.querySelector("[data-theme-switch]");
if (themeSwitch) {
  const root = document.documentElement;
  themeSwitch.hidden = false;
  themeSwitch.addEventListener("click", () => {
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    root.dataset.theme = (root.dataset.theme || system) === "dark" ? "light" : "dark";
    localStorage.setItem("millrace-theme", root.dataset.theme);
  });
}
