// Runs before the page is drawn, so that a chosen theme never flashes the other one. Not a module for that reason.
(() => {
  const root = document.documentElement;
  let chosen = null;
  try {
    chosen = localStorage.getItem("tidings.theme");
  } catch {
    // Storage may be forbidden: the system's preference counts then.
  }
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
})();
