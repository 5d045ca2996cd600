// The local Jacobian at the page's numbers: choose an element of the gradient, see what it reads.
"use strict";
(() => {
  const source = document.getElementById("depend-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const root = document.getElementById("depend");
  const rows = data.output.reduce((a, b) => a * b, 1), columns = data.input.reduce((a, b) => a * b, 1);
  const trim = (x, digits = 3) => (x === null ? "?" : String(Number(x.toFixed(digits)) || 0).replace("-", "−"));
  const closed = (words) => (words.startsWith("−") ? `(${words})` : words);
  const place = (k, shape) => {
    const at = [];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at[axis] = k % shape[axis];
      k = Math.floor(k / shape[axis]);
    }
    return at.length ? `[${at.join(",")}]` : "";
  };
  const total = (k) => data.arrives.reduce((sum, upstream, row) => sum + upstream * data.entries[row][k], 0);
  const largest = Math.max(1e-12, ...data.entries.flat().map((x) => Math.abs(x ?? 0)));
  const tint = (x) => `--share: ${Math.round((50 * Math.abs(x ?? 0)) / largest)}%; --tone: var(${x < 0 ? "--muted" : "--gradient"})`;

  // A table of an array: its last axis goes to the right, all others down.
  function table(shape, caption, cell) {
    const wide = shape.length ? shape[shape.length - 1] : 1;
    const count = shape.reduce((a, b) => a * b, 1);
    const out = document.createElement("table");
    out.className = "grid";
    out.innerHTML = `<caption>${caption}</caption><tbody></tbody>`;
    for (let row = 0; row < count / wide; row++) {
      const line = out.tBodies[0].insertRow();
      for (let k = 0; k < wide; k++) cell(line.insertCell(), row * wide + k);
    }
    return out;
  }

  const picks = [];
  const pick = table(data.input, `<b>${data.gradient}</b> choose an element`, (td, k) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = trim(total(k));
    button.setAttribute("aria-label", `${data.gradient}${place(k, data.input)}: ${trim(total(k))}`);
    button.addEventListener("click", () => choose(k));
    button.addEventListener("focus", () => choose(k));
    td.append(button);
    picks.push(button);
  });
  pick.classList.add("pick");
  pick.addEventListener("keydown", (event) => {
    const wide = data.input.length ? data.input[data.input.length - 1] : 1;
    const move = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -wide, ArrowDown: wide }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    picks[picks.indexOf(document.activeElement) + move]?.focus();
  });

  const weights = [];
  const reads = table(data.output, `<b>${data.upstream}</b> weight × value`, (td, k) => weights.push([td, k]));
  reads.classList.add("weights");
  const matrix = [];
  const whole = rows <= 16 && columns <= 16 && rows * columns > 1
    ? table([rows, columns], `<b>${data.label}</b> ${rows} × ${columns}: a row for each output, a column for each input`, (td, k) => {
        const x = data.entries[Math.floor(k / columns)][k % columns];
        td.textContent = trim(x, 2);
        td.style.cssText = tint(x);
        matrix.push([td, k % columns]);
      })
    : null;
  whole?.classList.add("matrix-grid");

  const said = document.createElement("p");
  said.className = "sum";
  said.setAttribute("aria-live", "polite");

  function choose(k) {
    picks.forEach((button, j) => button.setAttribute("aria-pressed", String(j === k)));
    for (const [td, row] of weights) {
      const x = data.entries[row][k];
      td.innerHTML = `<b>${trim(x)}</b> × ${closed(trim(data.arrives[row]))}`;
      td.classList.toggle("off", !x);
      td.style.cssText = tint(x);
    }
    for (const [td, column] of matrix) td.classList.toggle("chosen", column === k);
    const terms = data.arrives.map((upstream, row) => [data.entries[row][k], upstream]).filter(([x]) => x);
    const spelled = terms.slice(0, 8).map(([x, u]) => `${closed(trim(x))}·${closed(trim(u))}`).join(" + ");
    const rest = terms.length > 8 ? " + …" : "";
    const head = `<b class="g">${data.gradient}${place(k, data.input)}</b>`;
    said.innerHTML = terms.length
      ? `${head} = ${spelled}${rest} = <b class="g">${trim(total(k))}</b>`
      : `${head} reads nothing: no output depends on this element here.`;
  }

  const line = document.createElement("div");
  line.className = "depends";
  const arrow = document.createElement("span");
  arrow.className = "arrow back";
  arrow.setAttribute("aria-hidden", "true");
  arrow.textContent = "←";
  line.append(pick, arrow, reads);
  root.replaceChildren(line, said);
  if (whole) {
    const box = document.createElement("div");
    box.className = "scroll";
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "The entries of the Jacobian");
    box.append(whole);
    root.append(box);
  }
  const first = picks.findIndex((_, k) => data.entries.some((row) => row[k]));
  choose(Math.max(first, 0));
})();
