// Asks for news of the page's live part while something in it is alive and somebody can see it.

const bar = document.querySelector("[data-live-bar]");
const part = () => document.getElementById("live");
const STORED = "millrace-live";

let asking = false;
let askedAt = performance.now();
let failures = 0;
let kept = [];

function period() {
  const rate = bar.querySelector("[data-live-rate]").value;
  if (rate === "off") return Infinity;
  const seconds = rate === "live" ? Number(part().dataset.live || Infinity) : Number(rate);
  return seconds * 1000 * Math.min(2 ** failures, 15);
}

function isDisturbing() {
  const selection = getSelection();
  const selecting = !selection.isCollapsed && part().contains(selection.anchorNode);
  return document.hidden || selecting || document.querySelector("dialog[open]");
}

function refresh() {
  if (asking || !part()) return;
  asking = true;
  askedAt = performance.now();
  window.htmx.trigger(part(), "refresh");
}

function say(text) {
  bar.querySelector("[data-updated]").textContent = text;
}

function answered(event) {
  if (event.detail.target?.id !== "live") return;
  asking = false;
  const status = event.detail.xhr.status;
  const now = new Date().toLocaleTimeString("en-GB");
  if (status === 403 || status === 404) return location.reload();
  if (!event.detail.successful) {
    failures += 1;
    return say("No answer; trying again");
  }
  failures = 0;
  say(`Updated ${now}`);
}

// What is scrolled stays where it is; what is at its end stays at its end.
const scrolled = () => part().querySelectorAll(".scroll, [data-follow]");

function remember() {
  kept = [...scrolled()].map((element) => ({
    left: element.scrollLeft,
    top: element.scrollTop,
    atEnd: element.scrollTop + element.clientHeight >= element.scrollHeight - 4,
  }));
}

function restore() {
  [...scrolled()].forEach((element, index) => {
    const { left = 0, top = 0, atEnd = true } = kept[index] ?? {};
    element.scrollLeft = left;
    element.scrollTop = "follow" in element.dataset && atEnd ? element.scrollHeight : top;
  });
}

function announce() {
  const region = document.getElementById("announce");
  const text = part()?.dataset.announce;
  if (region && text && region.textContent !== text) region.textContent = text;
}

if (bar && part()) {
  const rate = bar.querySelector("[data-live-rate]");
  rate.value = localStorage.getItem(STORED) ?? "live";
  if (!rate.value) rate.value = "live";
  rate.addEventListener("change", () => localStorage.setItem(STORED, rate.value));
  bar.querySelector("[data-live-choice]").hidden = false;
  bar.querySelector("[data-refresh]").addEventListener("click", (event) => {
    event.preventDefault();
    refresh();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && rate.value !== "off") refresh();
  });
  document.body.addEventListener("htmx:afterRequest", answered);
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target.id === "live") remember();
  });
  document.body.addEventListener("htmx:afterSwap", () => {
    restore();
    announce();
  });
  restore();
  say(`Updated ${new Date().toLocaleTimeString("en-GB")}`);
  setInterval(() => {
    if (performance.now() - askedAt >= period() && !isDisturbing()) refresh();
  }, 200);
}
