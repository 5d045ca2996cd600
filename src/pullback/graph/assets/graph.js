"use strict";
// Draws the graph, laid out by dagre, and steps through it. All numbers come from the page's data.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const find = (query, from = document) => from.querySelector(query);
  const all = (query, from = document) => [...from.querySelectorAll(query)];
  const root = find("#circuit"), svg = find(".graph", root), scroll = find(".canvas", root);
  const narrow = matchMedia("(max-width: 46rem)");
  const escape = (text) => text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

  let which = 0; // 0: functions closed, 1: opened into their gates
  let graph = data.graphs[0];
  const open = new Set(); // the folds that are opened, as "graph:fold"
  let view = null, step = 0, upright = false; // upright: from top to bottom

  // What is seen: gates that repeat are one box until they are opened.
  function seen() {
    const of = new Map(), folds = [];
    graph.folds.forEach((fold, k) => {
      if (open.has(which + ":" + k)) return;
      folds.push({ ...fold, k });
      fold.turns.flat().forEach((n) => of.set(n, "fold" + k));
    });
    const id = (n) => of.get(n) ?? "n" + n;
    const nodes = graph.nodes.map((node, n) => ({ ...node, id: id(n), n })).filter((node) => !of.has(node.n));
    for (const fold of folds) {
      nodes.push({ id: "fold" + fold.k, fold: fold.k, title: fold.title, lines: fold.lines, n: fold.turns[0][0] });
    }
    const edges = new Map();
    graph.edges.forEach((edge, k) => {
      const [from, to] = [id(edge.from), edge.to === null ? "out" + edge.from : id(edge.to)];
      if (from === to) return;
      const key = from + ">" + to + ">" + (from.startsWith("fold") || to.startsWith("fold") ? "" : k);
      if (!edges.has(key)) edges.set(key, { ...edge, from, to, key, all: [] });
      edges.get(key).all.push(k);
    });
    for (const edge of graph.edges) {
      if (edge.to === null) nodes.push({ id: "out" + edge.from, out: true, n: edge.from });
    }
    const steps = [];
    for (const one of graph.steps) {
      const fold = of.get(one.n);
      const last = steps.at(-1);
      if (fold === undefined) steps.push({ ...one, id: "n" + one.n });
      else if (!last || last.id !== fold || last.p !== one.p) {
        const k = Number(fold.slice(4));
        steps.push({ p: one.p, n: one.n, id: fold, say: graph.folds[k].say[one.p], inner: [one] });
      } else last.inner.push(one);
    }
    return { nodes, edges: [...edges.values()], steps, at: new Map(nodes.map((node) => [node.id, node])) };
  }

  // Sizes
  const canvas = document.createElement("canvas").getContext("2d");
  const FONTS = { lb: "12px ", mono: "12px ", nm: "italic 17px ", value: "14px " };
  function wide(text, kind = "value") {
    const style = getComputedStyle(document.documentElement);
    canvas.font = FONTS[kind] + style.getPropertyValue(kind === "mono" ? "--mono" : kind === "nm" ? "--serif" : "--sans");
    return canvas.measureText(text).width;
  }
  const ROUND = 21, CELL = 19, PAD = 9;

  function measure(node, upright) {
    if (node.fold !== undefined) {
      node.box = node.lines.map((text, k) => ({ text, kind: k ? "lb" : "value" }));
      node.width = Math.max(...node.box.map((l) => wide(l.text, l.kind))) + 2 * PAD + 8;
      node.height = node.box.length * 18 + 2 * PAD;
    } else if (graph.single) {
      node.round = !node.input && !node.out;
      const beside = upright ? 2 * (ROUND + 6 + Math.max(wide(node.brief, "lb"), wide(node.label, "nm"))) : wide(node.brief, "lb");
      node.width = node.round ? Math.max(2 * ROUND, beside) : wide(node.label, "nm") + 10;
      node.height = node.round ? 2 * ROUND + (upright ? 2 : 34) : 26;
      if (node.out) node.width = node.height = 4;
    } else if (node.out) {
      node.width = node.height = 4;
    } else {
      const lines = [];
      if (!node.input) lines.push({ text: node.title + (node.brief ? " · " + node.brief : ""), kind: "lb" });
      lines.push({ text: node.input ? node.label : node.short, kind: "mono", name: true });
      for (const text of node.value) lines.push({ text, kind: "mono", cls: "fv" });
      for (const text of node.gradient) lines.push({ text, kind: "mono", cls: "gv" });
      node.box = lines;
      node.width = Math.max(46, ...lines.map((l) => wide(l.text, l.kind))) + 2 * PAD;
      node.height = lines.length * 16 + 2 * PAD - 2;
    }
  }

  function layOut() {
    const room = Math.max(scroll.clientWidth, 280);
    const attempt = (upright) => {
      const g = new dagre.graphlib.Graph({ multigraph: true });
      g.setGraph({ rankdir: upright ? "TB" : "LR", nodesep: graph.single ? (upright ? 6 : 14) : 22, ranksep: graph.single ? (upright ? 24 : 30) : 34, edgesep: 12, marginx: 10, marginy: 12 });
      g.setDefaultEdgeLabel(() => ({}));
      for (const node of [...view.nodes].reverse()) {
        measure(node, upright);
        g.setNode(node.id, { width: node.width, height: node.height });
      }
      for (const edge of [...view.edges].reverse()) {
        edge.labelled = graph.single && !edge.to.startsWith("fold") && !edge.from.startsWith("fold");
        const labels = edge.labelled ? [edge.value, edge.sent] : [];
        const label = Math.max(0, ...labels.map((t) => wide(t)));
        const size = upright ? { width: edge.labelled ? 2 * label + 16 : 8, height: edge.labelled ? 18 : 0 } : { width: edge.labelled ? label + 12 : 0, height: edge.labelled ? 38 : 8 };
        g.setEdge(edge.from, edge.to, { ...size, labelpos: "c" }, edge.key);
      }
      dagre.layout(g);
      return { g, upright, width: g.graph().width, height: g.graph().height };
    };
    let found = attempt(narrow.matches);
    if (!found.upright && found.width > room * 1.25) {
      const other = attempt(true);
      if (other.width < found.width) found = other;
      else found = attempt(false);
    }
    return found;
  }

  // A smooth line from box to box: along the ranks at every point, straight beside its label.
  function curve(edge, placed, from, to, shift, upright) {
    const way = upright ? "y" : "x", across = upright ? "x" : "y";
    const half = (node) => (node.round ? ROUND : (upright ? node.height : node.width) / 2);
    const label = edge.labelled ? (upright ? 9 : (placed.width - 8) / 2) : 0;
    const stops = [[from[way] + half(edge.ends[0]), from[across]]];
    for (const p of placed.points.slice(1, -1)) {
      const here = edge.labelled && Math.abs(p.x - placed.x) < 1 && Math.abs(p.y - placed.y) < 1 ? label : 0;
      stops.push([p[way] - here, p[across]]);
      if (here) stops.push([p[way] + here, p[across]]);
    }
    stops.push([to[way] - half(edge.ends[1]), to[across]]);
    const at = (w, a) => (upright ? `${(a + shift).toFixed(1)} ${w.toFixed(1)}` : `${w.toFixed(1)} ${(a + shift).toFixed(1)}`);
    if (shift > 0) stops.reverse(); // the way back
    let d = `M${at(...stops[0])}`;
    for (let k = 1; k < stops.length; k++) {
      const [w0, a0] = stops[k - 1], [w1, a1] = stops[k], middle = (w0 + w1) / 2;
      d += a0 === a1 ? `L${at(w1, a1)}` : `C${at(middle, a0)} ${at(middle, a1)} ${at(w1, a1)}`;
    }
    return d;
  }

  const text = (x, y, words, cls, anchor = "middle") => `<text class="${cls}" x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escape(words)}</text>`;

  function draw() {
    view = seen();
    const { g, width, height, ...found } = layOut();
    upright = found.upright;
    const parts = [];
    for (const edge of view.edges) {
      const placed = g.edge({ v: edge.from, w: edge.to, name: edge.key });
      const [from, to] = [g.node(edge.from), g.node(edge.to)];
      edge.ends = [view.at.get(edge.from), view.at.get(edge.to)];
      const line = (shift) => curve(edge, placed, from, to, shift, upright);
      const k = edge.all.join(" ");
      const back = edge.all.some((n) => graph.edges[n].sent !== "");
      parts.push(`<g data-edge="${escape(edge.key)}"><path class="w" d="${line(back ? -2.2 : 0)}"/>`);
      if (back) parts.push(`<path class="k" d="${line(2.2)}"/>`);
      parts.push(`<path class="hit" data-hit="${k}" d="${line(0)}"><title>${escape(edge.tip)}</title></path>`);
      if (edge.labelled) {
        const { x, y } = placed;
        if (upright) parts.push(text(x - 7, y + 5, edge.value, "fv", "end"), text(x + 7, y + 5, edge.sent, "gv", "start"));
        else parts.push(text(x, y - 7, edge.value, "fv"), text(x, y + 18, edge.sent, "gv"));
      }
      parts.push("</g>");
    }
    for (const node of view.nodes) parts.push(box(node, g.node(node.id)));
    svg.setAttribute("viewBox", `0 0 ${width.toFixed(0)} ${height.toFixed(0)}`);
    const room = Math.max(scroll.clientWidth, 280);
    const scale = width > room ? Math.max(room / width, 0.66) : 1;
    svg.setAttribute("width", (width * scale).toFixed(0));
    svg.setAttribute("height", (height * scale).toFixed(0));
    svg.innerHTML = parts.join("");
    find(".rail", root).innerHTML = view.steps.map((s, k) => `<i class="${s.p === "f" ? "f" : "r"}" data-step="${k + 1}"></i>`).join("");
    lines();
    to(Math.min(step, view.steps.length), true);
  }

  function box(node, at) {
    if (node.out) return "";
    const { x, y } = at;
    const name = node.fold !== undefined ? node.title + ", folded: choose to open" : `${node.label}: ${node.title}`;
    const head = `<g class="gate${node.input ? " input" : ""}${node.fold !== undefined ? " fold" : ""}" data-id="${node.id}" tabindex="0" role="button" aria-label="${escape(name)}"><title>${escape(node.tip ?? node.title)}</title>`;
    if (graph.single && node.fold === undefined) {
      if (node.input) return `${head}<rect class="shape" x="${(x - node.width / 2).toFixed(1)}" y="${(y - 13).toFixed(1)}" width="${node.width.toFixed(1)}" height="26" rx="13"/>${text(x, y + 5, node.label, "nm")}</g>`;
      return `${head}<circle class="shape" cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${ROUND}"/>${text(x, y + 5, node.symbol, "sy")}${beside(node, x, y)}</g>`;
    }
    const left = x - node.width / 2, top = y - node.height / 2;
    const step = node.fold !== undefined ? 18 : 16;
    const inner = node.box.map((line, k) => text(x, top + PAD + 11 + k * step, line.text, `${line.kind} ${line.cls ?? ""}${line.name ? " strong" : ""}`)).join("");
    return `${head}<rect class="shape" x="${left.toFixed(1)}" y="${top.toFixed(1)}" width="${node.width.toFixed(1)}" height="${node.height.toFixed(1)}" rx="${node.input ? 14 : 8}"/>${inner}</g>`;
  }

  // What a gate does and the name of its value: where no wire runs.
  function beside(node, x, y) {
    if (!upright) return text(x, y - ROUND - 6, node.brief, "lb") + text(x, y + ROUND + 14, node.label, "nm");
    return text(x + ROUND + 6, y + 5, node.brief, "lb", "start") + text(x - ROUND - 6, y + 5, node.label, "nm", "end");
  }

  function lines() {
    const out = [];
    for (const [phase, words] of [["f", "forward"], ["b", "backward"]]) {
      const mine = graph.code.filter((line) => line.p === phase);
      if (!mine.length) continue;
      out.push(`<div class="head"># ${words}</div>`);
      for (const line of mine) out.push(`<div class="${phase === "f" ? "f" : "r"}" data-n="${line.n}" data-p="${phase}">${escape(line.t)} <em># ${escape(line.v)}</em></div>`);
    }
    find(".code", root).innerHTML = out.join("");
  }

  // Stepping: forward the gates that were reached have their values, backward their gradients.
  const covers = (s, n) => (s.inner ? s.inner.some((one) => one.n === n) : s.n === n);
  function to(k, still = false) {
    step = Math.max(0, Math.min(k, view.steps.length));
    const now = step ? view.steps[step - 1] : null;
    const done = view.steps.slice(0, step);
    const has = new Set(graph.nodes.flatMap((node, n) => (node.input ? [n] : [])));
    const sent = new Set(), current = new Set();
    for (const s of done) for (const one of s.inner ?? [s]) {
      if (one.p === "f") has.add(one.n);
      else one.edges.forEach((e) => sent.add(e));
    }
    if (now) for (const one of now.inner ?? [now]) {
      graph.edges.forEach((edge, e) => { if (one.p === "f" ? edge.to === one.n : one.edges.includes(e)) current.add(e); });
    }
    const back = done.some((s) => s.p === "b");
    graph.edges.forEach((edge, e) => { if (edge.to === null && back) sent.add(e); });
    for (const group of all("[data-edge]", svg)) {
      const edge = view.edges.find((one) => one.key === group.dataset.edge);
      const valued = !step || edge.all.some((e) => has.has(graph.edges[e].from));
      const graded = !step || edge.all.some((e) => sent.has(e));
      const lit = edge.all.some((e) => current.has(e));
      const w = find(".w", group), r = find(".k", group);
      w.classList.toggle("v", valued);
      w.classList.toggle("now", lit && now.p === "f");
      r?.classList.toggle("v", graded);
      r?.classList.toggle("now", lit && now.p === "b");
      all("text", group).forEach((t) => {
        const grad = t.classList.contains("gv");
        t.classList.toggle("hid", grad ? !graded : !valued);
        t.classList.toggle("strong", lit && grad === (now.p === "b"));
      });
    }
    for (const gate of all(".gate", svg)) {
      const node = view.at.get(gate.dataset.id);
      const mine = now && (node.fold !== undefined ? now.id === gate.dataset.id : covers(now, node.n));
      gate.classList.toggle("nf", !!mine && now.p === "f");
      gate.classList.toggle("nb", !!mine && now.p === "b");
      if (node.fold === undefined && !graph.single) {
        const graded = !step || graph.edges.some((e, i) => e.from === node.n && sent.has(i));
        all(".fv", gate).forEach((t) => t.classList.toggle("hid", !!step && !has.has(node.n)));
        all(".gv", gate).forEach((t) => t.classList.toggle("hid", !graded));
      }
    }
    all(".rail i", root).forEach((i, k) => { i.classList.toggle("done", k < step); i.classList.toggle("cur", k === step - 1); });
    find(".say", root).innerHTML = now ? `<p class="where">Step ${step} of ${view.steps.length}, ${now.p === "f" ? "forward" : '<span class="g">backward</span>'}</p>${now.say}` : graph.overview;
    let shown = null;
    for (const line of all(".code [data-n]", root)) {
      const on = !!now && line.dataset.p === now.p && covers(now, Number(line.dataset.n));
      line.classList.toggle("on", on);
      if (on && !shown) shown = line;
    }
    const code = find(".code", root);
    if (shown && !still) code.scrollTop = Math.max(0, shown.offsetTop - code.offsetTop - code.clientHeight / 3);
    const lit = find(".gate.nf, .gate.nb", svg);
    if (lit && !still) reveal(lit);
    const next = find('[data-go="next"]', root), following = view.steps[step];
    next.disabled = step === view.steps.length;
    next.textContent = step ? "Next →" : "Start →";
    next.classList.toggle("back", !!following && following.p === "b");
    find('[data-go="prev"]', root).disabled = !step;
    find('[data-go="first"]', root).disabled = !step;
    document.documentElement.dataset.step = step;
  }
  function reveal(gate) {
    const a = gate.getBoundingClientRect(), b = scroll.getBoundingClientRect();
    if (a.left < b.left || a.right > b.right) scroll.scrollLeft += a.left + a.width / 2 - b.left - b.width / 2;
    if (a.top < b.top || a.bottom > b.bottom) scroll.scrollTop += a.top + a.height / 2 - b.top - b.height / 2;
  }

  // The next step at a gate after the current one, else the first.
  function jump(test) {
    const places = view.steps.flatMap((s, k) => (test(s) ? [k + 1] : []));
    if (places.length) to(places.find((k) => k > step) ?? places[0]);
  }
  function choose(id) {
    const node = view.at.get(id);
    if (node.fold !== undefined) { open.add(which + ":" + node.fold); draw(); return; }
    const reads = new Set(graph.edges.flatMap((e) => (e.from === node.n && e.to !== null ? [e.to] : [])));
    jump(node.input ? (s) => covers(s, node.n) || (s.p === "b" && [...reads].some((n) => covers(s, n))) : (s) => covers(s, node.n));
  }

  const go = { first: () => to(0), prev: () => to(step - 1), next: () => to(step + 1) };
  root.addEventListener("click", (event) => {
    const target = event.target;
    const button = target.closest("[data-go]"), gate = target.closest(".gate"), bar = target.closest(".rail [data-step]");
    const hit = target.closest("[data-hit]"), line = target.closest(".code [data-n]");
    if (button) go[button.dataset.go]();
    else if (gate) choose(gate.dataset.id);
    else if (bar) to(Number(bar.dataset.step));
    else if (hit) jump((s) => s.p === "b" && (s.inner ?? [s]).some((one) => hit.dataset.hit.split(" ").some((e) => one.edges.includes(Number(e)))));
    else if (line) jump((s) => s.p === line.dataset.p && covers(s, Number(line.dataset.n)));
  });
  svg.addEventListener("keydown", (event) => {
    const gate = event.target.closest(".gate");
    if (gate && (event.key === "Enter" || event.key === " ")) { event.preventDefault(); choose(gate.dataset.id); }
  });
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest?.("input, textarea, select")) return;
    const to = { ArrowRight: "next", ArrowLeft: "prev", Home: "first" }[event.key];
    if (to) { event.preventDefault(); go[to](); }
  });
  const opens = find("#open");
  opens?.addEventListener("click", () => {
    which = 1 - which;
    graph = data.graphs[which];
    opens.setAttribute("aria-pressed", String(which === 1));
    step = 0;
    draw();
  });
  const unfold = find("#unfold");
  unfold?.addEventListener("click", () => {
    const closed = graph.folds.some((_, k) => !open.has(which + ":" + k));
    graph.folds.forEach((_, k) => (closed ? open.add(which + ":" + k) : open.delete(which + ":" + k)));
    unfold.setAttribute("aria-pressed", String(closed));
    step = 0;
    draw();
  });

  let waiting = 0, lastWidth = 0;
  new ResizeObserver(() => {
    if (scroll.clientWidth === lastWidth) return;
    lastWidth = scroll.clientWidth;
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(draw);
  }).observe(scroll);
  lastWidth = scroll.clientWidth;
  draw();
  document.documentElement.dataset.ready = "yes";
})();
