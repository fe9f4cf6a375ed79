// Before the first paint: the theme that was chosen here, otherwise the system's.
try {
  const chosen = localStorage.getItem("millrace-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch {
  // Without storage the system's theme is used.
}
