"use strict";
// Light or dark: the reader's choice, else the system's.
(() => {
  const root = document.documentElement;
  try {
    const theme = localStorage.getItem("pullback-theme");
    if (theme) root.dataset.theme = theme;
  } catch {
    // storage may be forbidden for files
  }
  document.getElementById("theme").addEventListener("click", () => {
    const dark = (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "")) === "dark";
    root.dataset.theme = dark ? "light" : "dark";
    try {
      localStorage.setItem("pullback-theme", root.dataset.theme);
    } catch {
      // the choice holds for this page
    }
  });
})();
