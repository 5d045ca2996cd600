"use strict";

// Light and dark.
function switchTheme() {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = root.dataset.theme ?? (dark ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("pullback-theme", root.dataset.theme);
  } catch {
    // the choice holds for this page
  }
}

// Search: every word must begin a word of an entry; titles count most, and other names of a layer as
// much, however they are written: "batch norm" is BatchNorm2d, too.
const plain = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
function named(entry, words) {
  const wanted = words.join("");
  const names = [entry.title, ...(entry.names ?? [])].map(plain);
  if (names.includes(wanted)) return 20;
  if (names.some((name) => name.replace(/[123]d$/, "") === wanted)) return 18;
  return wanted.length > 2 && names.some((name) => name.startsWith(wanted)) ? 10 : 0;
}

function score(entry, words) {
  const called = named(entry, words);
  if (called) return called;
  let total = 0;
  for (const word of words) {
    const title = place(entry.title, word);
    const group = place(entry.group, word);
    const rest = place(entry.words, word);
    if (title < 0 && group < 0 && rest < 0) return 0;
    total += title === 0 ? 8 : title > 0 ? 5 : group >= 0 ? 2 : 1;
  }
  return total;
}

function place(text, word) {
  const words = text.toLowerCase().split(/[^\p{L}\p{N}]+/u);
  return words.findIndex((part) => part.startsWith(word));
}

function found(query) {
  const words = query.toLowerCase().split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  if (!words.length) return [];
  return SEARCH_INDEX.map((entry) => [score(entry, words), entry])
    .filter(([points]) => points > 0)
    .sort((a, b) => b[0] - a[0])
    .slice(0, 12)
    .map(([, entry]) => entry);
}

function showResults(input, list) {
  const entries = found(input.value);
  list.replaceChildren(...entries.map(drawnResult));
  if (input.value.trim() && !entries.length) {
    const none = document.createElement("li");
    none.className = "none";
    none.textContent = "nothing found";
    list.append(none);
  }
  list.hidden = !input.value.trim();
  input.setAttribute("aria-expanded", String(!list.hidden));
}

function drawnResult(entry) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  const group = document.createElement("span");
  link.href = entry.page;
  link.textContent = entry.title;
  group.textContent = entry.group;
  link.append(group);
  item.append(link);
  return item;
}

function startSearch() {
  const input = document.getElementById("search");
  const list = document.getElementById("results");
  input.addEventListener("input", () => showResults(input, list));
  document.addEventListener("keydown", (event) => {
    const links = [...list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "/" && !/INPUT|TEXTAREA/.test(document.activeElement.tagName)) {
      event.preventDefault();
      input.focus();
    } else if (event.key === "Escape") {
      list.hidden = true;
      input.setAttribute("aria-expanded", "false");
    } else if (event.key === "Enter" && document.activeElement === input) {
      links[0]?.click();
    } else if (!list.hidden && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const next = event.key === "ArrowDown" ? at + 1 : at - 1;
      (links[next] ?? input).focus();
    }
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest(".search")) list.hidden = true;
  });
}

// On narrow screens the contents are folded away.
function startMenu() {
  const button = document.getElementById("menu");
  button.addEventListener("click", () => {
    const open = document.body.classList.toggle("menu-open");
    button.setAttribute("aria-expanded", String(open));
  });
}

function startCopying() {
  for (const block of document.querySelectorAll("pre")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(block.querySelector("code").textContent);
      button.textContent = "copied";
      setTimeout(() => (button.textContent = "copy"), 1500);
    });
    block.append(button);
  }
}

// The section that is being read is marked in the list at the side.
function startMarking() {
  const links = new Map();
  for (const link of document.querySelectorAll(".toc a")) links.set(link.hash.slice(1), link);
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        for (const link of links.values()) link.classList.remove("now");
        links.get(entry.target.id)?.classList.add("now");
      }
    },
    { rootMargin: "-15% 0px -75% 0px" },
  );
  for (const section of document.querySelectorAll("main > section")) seen.observe(section);
}

// A section that a link leads to is unfolded; on paper all are.
function startUnfolding() {
  const unfold = () => {
    const target = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
    const part = target?.querySelector(":scope > details.part") ?? target?.closest("details");
    if (part) {
      part.open = true;
      target.scrollIntoView();
    }
  };
  addEventListener("hashchange", unfold);
  unfold();
  document.querySelector(".toc")?.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (link && link.hash === location.hash) unfold();
  });
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const part of folded) part.open = true;
  });
  addEventListener("afterprint", () => {
    for (const part of folded) part.open = false;
  });
}

document.getElementById("theme").addEventListener("click", switchTheme);
startSearch();
startMenu();
startCopying();
startMarking();
startUnfolding();
document.querySelector("#contents [aria-current]")?.scrollIntoView({ block: "nearest" });
document.documentElement.dataset.ready = "yes";
