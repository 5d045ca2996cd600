// Formulas: what stands between is the LaTeX, and stays readable without a script. A formula on a
// line of its own is set in line, so that it may break before the signs of its outermost level.
"use strict";
(() => {
  const LEAST = 0.72; // of its size to which a formula shrinks before it scrolls
  const all = [...document.querySelectorAll(".tex")];
  for (const place of all) {
    const display = place.classList.contains("display");
    katex.render((display ? "\\displaystyle " : "") + place.textContent, place, {
      displayMode: false,
      throwOnError: false,
      strict: "ignore",
      trust: (context) => context.command === "\\htmlClass",
      macros: { "\\gradient": "\\htmlClass{gradient}{#1}" },
    });
  }
  // What can't break and is still too wide is set smaller.
  function fit(place) {
    const box = place.closest(".set") ?? place.parentElement;
    place.style.fontSize = "";
    const wide = Math.max(0, ...[...place.querySelectorAll(".base")].map((part) => part.getBoundingClientRect().width));
    const room = box.clientWidth - 24;
    if (wide > room && room > 0) place.style.fontSize = `${Math.max(LEAST, room / wide).toFixed(3)}em`;
  }
  const fitAll = () => all.filter((place) => place.classList.contains("display")).forEach(fit);
  document.fonts.ready.then(fitAll);
  let last = document.documentElement.clientWidth;
  addEventListener("resize", () => {
    if (document.documentElement.clientWidth === last) return;
    last = document.documentElement.clientWidth;
    fitAll();
  });
  document.addEventListener("toggle", (event) => {
    if (event.target.open) event.target.querySelectorAll(".tex.display").forEach(fit);
  }, true);
})();
