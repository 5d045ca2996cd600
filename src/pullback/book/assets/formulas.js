// Formulas: what stands between is the LaTeX, and stays readable without a script. A formula on a
// line of its own is set in line, so that it may break behind the signs of its outermost level.
"use strict";
(() => {
  const LEAST = 0.6; // of its size to which a formula shrinks before it scrolls
  const all = new Map([...document.querySelectorAll(".tex")].map((place) => [place, place.textContent]));
  const lines = [...all.keys()].filter((place) => place.classList.contains("display"));

  function set(place, tex) {
    katex.render((place.classList.contains("display") ? "\\displaystyle " : "") + tex, place, {
      displayMode: false,
      throwOnError: false,
      strict: "ignore",
      trust: (context) => context.command === "\\htmlClass",
      macros: { "\\gradient": "\\htmlClass{gradient}{#1}" },
    });
  }

  // What is still too wide may break between factors, too, and is set smaller if that doesn't help.
  function fit(place) {
    const room = (place.closest(".set") ?? place.parentElement).clientWidth - 36;
    const wide = () => Math.max(0, ...[...place.querySelectorAll(".katex-base")].map((part) => part.getBoundingClientRect().width));
    if (room <= 0) return;
    if (place.style.fontSize) place.style.fontSize = "";
    if (wide() > room && !place.dataset.loose) {
      place.dataset.loose = "yes";
      set(place, all.get(place).replaceAll("\\, ", "\\, \\allowbreak "));
    }
    const found = wide();
    if (found > room) place.style.fontSize = `${Math.max(LEAST, room / found).toFixed(3)}em`;
  }

  for (const [place, tex] of all) set(place, tex);
  document.fonts.ready.then(() => lines.forEach(fit));
  let last = document.documentElement.clientWidth;
  addEventListener("resize", () => {
    if (document.documentElement.clientWidth === last) return;
    last = document.documentElement.clientWidth;
    lines.forEach(fit);
  });
  document.addEventListener("toggle", (event) => {
    if (event.target.open) lines.filter((place) => event.target.contains(place)).forEach(fit);
  }, true);
})();
