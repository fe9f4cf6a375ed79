// Appends what a job writes, as text, from where the page ends.

const view = document.querySelector("[data-log]");
const KEPT = 2_000_000; // characters; the download has the rest

if (view && view.dataset.complete === "no") {
  const follow = document.querySelector("[data-follow-log]");
  let offset = Number(view.dataset.offset);
  document.querySelector("[data-follow-choice]").hidden = false;

  const append = (piece) => {
    offset = piece.next_offset;
    if (!piece.text) return;
    document.getElementById("log-empty").hidden = true;
    view.append(piece.text);
    while (view.textContent.length > KEPT && view.childNodes.length > 1) view.firstChild.remove();
    if (follow.checked) view.scrollTop = view.scrollHeight;
  };

  const more = async () => {
    let wait = 1000;
    if (!document.hidden) {
      try {
        const answer = await fetch(`${view.dataset.log}&offset=${offset}`);
        if (answer.redirected || answer.status === 403 || answer.status === 404) return;
        const piece = await answer.json();
        append(piece);
        if (piece.complete) return;
        if (piece.next_offset < piece.size) wait = 0;
      } catch {
        wait = 5000;
      }
    }
    setTimeout(more, wait);
  };
  more();
}
if (view) view.scrollTop = view.scrollHeight;
