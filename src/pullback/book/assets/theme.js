// Before the page is drawn: the reader's choice, else the system's.
"use strict";
const chosenTheme = (() => {
  try {
    return localStorage.getItem("pullback-theme");
  } catch {
    return null; // storage may be forbidden for files
  }
})();
if (chosenTheme) document.documentElement.dataset.theme = chosenTheme;
