// Files: the name of what was chosen or dropped, and how far its upload is.

function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  let power = 0;
  while (bytes >= 1000 && power < units.length - 1) {
    bytes /= 1000;
    power += 1;
  }
  return `${power ? bytes.toFixed(1) : bytes} ${units[power]}`;
}

document.addEventListener("change", (event) => {
  const zone = event.target.closest("[data-drop]");
  if (!zone) return;
  const file = event.target.files[0];
  const text = zone.querySelector("[data-drop-text]");
  zone.classList.toggle("has-file", Boolean(file));
  text.textContent = file ? `${file.name}, ${size(file.size)}` : "Choose a file or drop it here";
});

for (const [name, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
  document.addEventListener(name, (event) => {
    event.target.closest?.("[data-drop]")?.classList.toggle("is-over", over);
  });
}

document.addEventListener("htmx:xhr:progress", (event) => {
  const { loaded, total } = event.detail;
  const upload = event.target.querySelector("[data-upload]");
  if (!upload || !total || total < 200_000) return;
  const percent = Math.floor((100 * loaded) / total);
  upload.hidden = false;
  upload.querySelector("progress").value = percent;
  upload.querySelector("[data-upload-text]").textContent =
    percent < 100 ? `${percent} % of ${size(total)} sent` : "Sent; starting the job";
});
