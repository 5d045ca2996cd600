// Exercises: what is typed is read as index notation or as NumPy, and compared by value.
"use strict";
const Answers = (() => {
  class Complaint extends Error {}
  const fail = (words) => {
    throw new Complaint(words);
  };

  // Signs that people write, as the notation has them.
  const SIGNS = [
    [/[−–]/g, "-"], [/[·×∗]/g, "*"], [/\^/g, "**"], [/²/g, "**2"], [/³/g, "**3"], [/½/g, "(1/2)"], [/Σ|∑/g, "sum"],
    [/√/g, "sqrt"], [/≤/g, "<="], [/≥/g, ">="], [/≠/g, "!="], [/x\u0302|x̂/g, "xhat"], [/[′’]/g, "'"], [/\bnp\./g, ""],
    [/γ/g, "gamma"], [/β/g, "beta"], [/μ/g, "mu"], [/σ/g, "sigmoid"], [/θ/g, "theta"], [/ε/g, "eps"],
  ];
  const TOKEN = /\s*(\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|[\p{L}_][\p{L}\p{N}_]*'*|\*\*|\/\/|<=|>=|==|!=|[-+*/%@()[\],.:=<>])/uy;

  function tokens(text) {
    for (const [sign, plain] of SIGNS) text = text.replace(sign, plain);
    const out = [];
    TOKEN.lastIndex = 0;
    while (TOKEN.lastIndex < text.trimEnd().length) {
      const at = TOKEN.lastIndex;
      const found = TOKEN.exec(text);
      if (!found) fail(`I can’t read “${text.slice(at).trim()[0]}” there.`);
      out.push(found[1]);
    }
    return out;
  }

  const isName = (t) => t !== undefined && /^[\p{L}_]/u.test(t);
  const REDUCTIONS = new Set(["sum", "mean", "max", "min", "prod"]);
  const COMPARISONS = new Set(["=", "==", "!=", "<", "<=", ">", ">="]);

  // The parser: a tree of [kind, ...].
  function parse(text) {
    const list = tokens(text);
    let k = 0;
    const peek = (d = 0) => list[k + d];
    const take = (t) => peek() === t && (k++, true);
    const need = (t) => take(t) || fail(peek() === undefined ? `A “${t}” is missing at the end.` : `I expected “${t}” before “${peek()}”.`);

    function condition() {
      const parts = [sum()];
      const signs = [];
      while (COMPARISONS.has(peek())) {
        signs.push(list[k++]);
        parts.push(sum());
      }
      let left = signs.length ? ["compare", signs, parts] : parts[0];
      while (peek() === "and" || peek() === "or") {
        const word = list[k++];
        left = [word, left, condition()];
      }
      return left;
    }
    function sum() {
      let left = product();
      for (;;) {
        if (take("+")) left = ["+", left, product()];
        else if (take("-")) left = ["-", left, product()];
        else return left;
      }
    }
    function product() {
      let left = unary();
      for (;;) {
        if (take("*")) left = ["*", left, unary()];
        else if (take("/")) left = ["/", left, unary()];
        else if (take("//")) left = ["//", left, unary()];
        else if (take("%")) left = ["%", left, unary()];
        else if (take("@")) left = ["@", left, unary()];
        else return left;
      }
    }
    function unary() {
      if (take("-")) return ["neg", unary()];
      if (take("+")) return unary();
      const base = postfix();
      return take("**") ? ["**", base, unary()] : base;
    }
    function postfix() {
      let node = atom();
      for (;;) {
        if (peek() === "[" && node[0] !== "bracket") {
          k++;
          node = ["index", node, subscripts()];
        } else if (take(".")) {
          const name = list[k++];
          node = peek() === "(" ? ["call", name, ...callArguments(node)] : ["call", name, [node], {}];
        } else return node;
      }
    }
    function subscripts() {
      const out = [];
      while (!take("]")) {
        if (take(":")) out.push(["all"]);
        else if (take("None")) out.push(["new"]);
        else out.push(sum());
        if (!take(",") && peek() !== "]") fail(peek() === undefined ? "A bracket is not closed." : `I can’t read “${peek()}” there.`);
      }
      return out;
    }
    function callArguments(first) {
      need("(");
      const args = first ? [first] : [], named = {};
      while (!take(")")) {
        if (isName(peek()) && peek(1) === "=") {
          const name = list[k];
          k += 2;
          named[name] = condition();
        } else args.push(condition());
        if (!take(",") && peek() !== ")") fail(peek() === undefined ? "A bracket is not closed." : `I can’t read “${peek()}” there.`);
      }
      return [args, named];
    }
    // sum(n, c) body, with extents as in sum(p:2): the indices, or null where it is a call.
    function bound() {
      let at = k + 1;
      const found = [];
      for (;;) {
        if (!isName(list[at])) return null;
        const name = list[at++];
        let extent = null;
        if (list[at] === ":") {
          const start = ++at;
          let depth = 0;
          while (at < list.length && (depth || (list[at] !== "," && list[at] !== ")"))) depth += list[at] === "(" ? 1 : list[at++] === ")" ? -1 : 0;
          extent = list.slice(start, at).join(" ");
        }
        found.push([name, extent]);
        if (list[at] === ",") at++;
        else break;
      }
      const next = list[at + 1];
      const starts = next !== undefined && (isName(next) || /^[\d.]/.test(next) || next === "(" || next === "[" || next === "-");
      if (list[at] !== ")" || !starts || (next === "-" && !found.some(([, e]) => e))) return null;
      k = at + 1;
      return found;
    }
    function atom() {
      const t = list[k++];
      if (t === undefined) fail("Something is missing at the end.");
      if (/^[\d.]/.test(t)) return ["number", Number(t)];
      if (t === "(") {
        const inner = condition();
        if (take(",")) {
          const items = [inner];
          while (!take(")")) {
            items.push(sum());
            take(",");
          }
          return ["tuple", items];
        }
        need(")");
        return inner;
      }
      if (t === "[") {
        const inner = condition();
        need("]");
        return ["bracket", inner];
      }
      if (t === "not") return ["not", condition()];
      if (!isName(t)) fail(`I can’t read “${t}” there.`);
      if (peek() === "(") {
        if (REDUCTIONS.has(t)) {
          const over = bound();
          if (over) return ["reduce", t, over.map(([n, e]) => [n, e === null ? null : parse(e)]), product()];
        }
        return ["call", t, ...callArguments(null)];
      }
      return ["name", t];
    }
    const tree = condition();
    if (k < list.length) fail(`I can’t read “${peek()}” there.`);
    return tree;
  }

  // Functions of numbers.
  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  const PLAIN = {
    exp: Math.exp, log: Math.log, sqrt: Math.sqrt, tanh: Math.tanh, abs: Math.abs, sin: Math.sin, cos: Math.cos, sigmoid,
    rsqrt: (x) => 1 / Math.sqrt(x), sign: Math.sign, square: (x) => x * x, softplus: (x) => Math.log1p(Math.exp(x)),
    maximum: Math.max, minimum: Math.min, relu: (x) => Math.max(x, 0), cosh: Math.cosh, sinh: Math.sinh,
    where: (c, a, b) => (c ? a : b), power: Math.pow, floor: Math.floor, index: (x) => x,
  };
  const COMPARE = {
    "=": (a, b) => a === b, "==": (a, b) => a === b, "!=": (a, b) => a !== b,
    "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
  };
  const BINARY = { "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b, "**": Math.pow,
    "//": (a, b) => Math.floor(a / b), "%": (a, b) => a - b * Math.floor(a / b) };

  // Index notation, element by element.
  function parts(node) {
    return node.flatMap((part) => (Array.isArray(part) ? (typeof part[0] === "string" ? [part] : parts(part)) : []));
  }
  function* every(node) {
    yield node;
    const named = node[0] === "call" ? Object.values(node[3]) : [];
    for (const part of [...parts(node.slice(1)), ...named]) yield* every(part);
  }
  function indexed(tree, target) {
    const letters = new Set(target.indices);
    for (const node of every(tree)) {
      if (node[0] === "reduce") return true;
      if (node[0] === "index" && node[2].some((sub) => [...every(sub)].some((s) => s[0] === "name"))) return true;
      if (node[0] === "name" && letters.has(node[1]) && target.env[node[1]] === undefined) return true;
    }
    return false;
  }
  function lookup(env, name) {
    const found = env[name] ?? (name === "pi" ? { shape: [], data: [Math.PI] } : undefined);
    if (found === undefined) fail(`I don’t know the name “${name}”.`);
    return found;
  }
  function byElement(tree, { indices, shape, env }) {
    const extents = new Map(indices.map((name, k) => [name, shape[k]]));
    for (const node of every(tree)) {
      if (node[0] !== "index" || node[1][0] !== "name") continue;
      const array = lookup(env, node[1][1]);
      if (node[2].length !== array.shape.length) fail(`${node[1][1]} has ${array.shape.length} ${array.shape.length === 1 ? "index" : "indices"}: it is ${described(array.shape)}.`);
      node[2].forEach((sub, k) => {
        if (sub[0] === "name" && !extents.has(sub[1])) extents.set(sub[1], array.shape[k]);
      });
    }
    function value(node, at) {
      const [kind, a, b, c] = node;
      switch (kind) {
        case "number": return a;
        case "name": {
          if (at.has(a)) return at.get(a);
          const found = lookup(env, a);
          return found.shape.length ? fail(`${a} needs its indices here: it is ${described(found.shape)}.`) : found.data[0];
        }
        case "neg": return -value(a, at);
        case "bracket": return value(a, at) ? 1 : 0;
        case "not": return !value(a, at);
        case "and": return value(a, at) && value(b, at);
        case "or": return value(a, at) || value(b, at);
        case "compare": {
          const all = b.map((part) => value(part, at));
          return a.every((sign, k) => COMPARE[sign](all[k], all[k + 1]));
        }
        case "*": case "/": {
          for (const part of guards(node)) if (!value(part, at)) return 0;
          return BINARY[kind](value(a, at), value(b, at));
        }
        case "+": case "-": case "**": case "//": case "%": return BINARY[kind](value(a, at), value(b, at));
        case "index": {
          const array = a[0] === "name" ? lookup(env, a[1]) : fail("Only a name has indices.");
          let place = 0;
          b.forEach((sub, k) => {
            const i = value(sub, at);
            if (i < 0 || i >= array.shape[k] || i !== Math.floor(i)) fail(`${a[1]} is read outside of its ${described(array.shape)}.`);
            place = place * array.shape[k] + i;
          });
          return array.data[place];
        }
        case "reduce": {
          const over = b.map(([name, extent]) => [name, extent ? value(extent, at) : extents.get(name)]);
          for (const [name, n] of over) if (n === undefined) fail(`I can’t tell how far ${name} goes.`);
          const found = [];
          const run = (k, inner) => {
            if (k === over.length) return void found.push(value(c, inner));
            for (let i = 0; i < over[k][1]; i++) run(k + 1, new Map(inner).set(over[k][0], i));
          };
          run(0, at);
          return reduced(a, found);
        }
        case "call": {
          if (!PLAIN[a]) fail(REDUCTIONS.has(a) ? `After ${a}(…) comes what is added up: ${a}(n) x[n].` : `I don’t know the function “${a}”.`);
          if (a === "where") return value(b[value(b[0], at) ? 1 : 2], at);
          return PLAIN[a](...b.map((part) => value(part, at)));
        }
        default: return fail("I can’t read that with indices.");
      }
    }
    const data = [];
    const run = (k, at) => {
      if (k === indices.length) return void data.push(Number(value(tree, at)));
      for (let i = 0; i < shape[k]; i++) run(k + 1, new Map(at).set(indices[k], i));
    };
    run(0, new Map());
    return { shape, data };
  }
  function guards(node) {
    if (node[0] === "bracket") return [node];
    return node[0] === "*" ? [...guards(node[1]), ...guards(node[2])] : node[0] === "/" ? guards(node[1]) : [];
  }
  function reduced(name, found) {
    const total = (list) => list.reduce((a, b) => a + b, 0);
    const how = { sum: total, mean: (l) => total(l) / l.length, max: (l) => Math.max(...l), min: (l) => Math.min(...l), prod: (l) => l.reduce((a, b) => a * b, 1) };
    return how[name](found);
  }

  // NumPy, array by array.
  const described = (shape) => (shape.length ? `(${shape.join(", ")}${shape.length === 1 ? "," : ""})` : "a number");
  const count = (shape) => shape.reduce((a, b) => a * b, 1);
  function broadcast(f, arrays) {
    const rank = Math.max(...arrays.map((a) => a.shape.length));
    const padded = arrays.map((a) => [...Array(rank - a.shape.length).fill(1), ...a.shape]);
    const shape = Array.from({ length: rank }, (_, k) => {
      const sizes = [...new Set(padded.map((s) => s[k]).filter((n) => n !== 1))];
      if (sizes.length > 1) fail(`Shapes ${arrays.map((a) => described(a.shape)).join(" and ")} don’t fit together.`);
      return sizes[0] ?? 1;
    });
    const data = Array.from({ length: count(shape) }, (_, flat) => {
      const at = unflat(flat, shape);
      return Number(f(...arrays.map((a, j) => a.data[padded[j].reduce((p, n, k) => p * n + (n === 1 ? 0 : at[k]), 0)])));
    });
    return { shape, data };
  }
  function unflat(flat, shape) {
    const at = [];
    for (let k = shape.length - 1; k >= 0; k--) {
      at[k] = flat % shape[k];
      flat = Math.floor(flat / shape[k]);
    }
    return at;
  }
  function along(name, array, axis, keep) {
    const rank = array.shape.length;
    const axes = axis === null ? array.shape.map((_, k) => k) : axis.map((k) => (k < 0 ? k + rank : k));
    for (const k of axes) if (!(k in array.shape)) fail(`${described(array.shape)} has no axis ${k}.`);
    const groups = new Map();
    const shape = array.shape.map((n, k) => (axes.includes(k) ? 1 : n));
    array.data.forEach((x, flat) => {
      const at = unflat(flat, array.shape).map((i, k) => (axes.includes(k) ? 0 : i));
      const place = at.reduce((p, i, k) => p * shape[k] + i, 0);
      groups.set(place, [...(groups.get(place) ?? []), x]);
    });
    const data = Array.from({ length: count(shape) }, (_, k) => reduced(name, groups.get(k)));
    return { shape: keep ? shape : array.shape.filter((_, k) => !axes.includes(k)), data };
  }
  function transposed(a) {
    const shape = [...a.shape].reverse();
    const data = Array.from({ length: a.data.length }, (_, flat) => {
      const at = unflat(flat, shape).reverse();
      return a.data[at.reduce((p, i, k) => p * a.shape[k] + i, 0)];
    });
    return { shape, data };
  }
  function multiplied(a, b) {
    if (!a.shape.length || !b.shape.length || a.shape.length > 2 || b.shape.length > 2) fail("@ multiplies matrices and vectors.");
    const [left, right] = [a.shape.length === 1 ? [1, ...a.shape] : a.shape, b.shape.length === 1 ? [...b.shape, 1] : b.shape];
    if (left[1] !== right[0]) fail(`${described(a.shape)} @ ${described(b.shape)} doesn’t fit: ${left[1]} is not ${right[0]}.`);
    const data = [];
    for (let i = 0; i < left[0]; i++) {
      for (let j = 0; j < right[1]; j++) {
        let total = 0;
        for (let k = 0; k < left[1]; k++) total += a.data[i * left[1] + k] * b.data[k * right[1] + j];
        data.push(total);
      }
    }
    return { shape: [...(a.shape.length === 2 ? [left[0]] : []), ...(b.shape.length === 2 ? [right[1]] : [])], data };
  }
  const one = (x) => ({ shape: [], data: [Number(x)] });
  function whole(node, env) {
    const [kind, a, b] = node;
    const go = (part) => whole(part, env);
    switch (kind) {
      case "number": return one(a);
      case "name": return lookup(env, a);
      case "neg": return broadcast((x) => -x, [go(a)]);
      case "bracket": return go(a);
      case "not": return broadcast((x) => !x, [go(a)]);
      case "and": return broadcast((x, y) => x && y, [go(a), go(b)]);
      case "or": return broadcast((x, y) => x || y, [go(a), go(b)]);
      case "compare": return broadcast((...all) => a.every((sign, k) => COMPARE[sign](all[k], all[k + 1])), b.map(go));
      case "@": return multiplied(go(a), go(b));
      case "index": {
        const array = go(a);
        let k = 0;
        const shape = b.map((sub) => (sub[0] === "new" ? 1 : sub[0] === "all" ? array.shape[k++] : fail("Only : and None can stand there; or give every name its indices.")));
        return { shape: [...shape, ...array.shape.slice(k)], data: array.data };
      }
      case "call": return called(a, b, node[3], env);
      default: return BINARY[kind] ? broadcast(BINARY[kind], [go(a), go(b)]) : fail("I can’t read that.");
    }
  }
  function called(name, args, named, env) {
    const given = args.map((part) => (part[0] === "tuple" ? null : whole(part, env)));
    if (name === "T" || name === "transpose") return transposed(given[0]);
    if (REDUCTIONS.has(name)) {
      const axis = args[1] ?? named.axis;
      const list = axis === undefined ? null : axis[0] === "tuple" ? axis[1].map((x) => whole(x, env).data[0]) : [whole(axis, env).data[0]];
      const keep = named.keepdims !== undefined && named.keepdims[1] !== "False";
      return along(name, given[0], list, keep);
    }
    if (name === "ones_like") return broadcast(() => 1, given);
    if (name === "zeros_like") return broadcast(() => 0, given);
    if (name === "dot" || name === "matmul") return multiplied(...given);
    if (name === "outer") return multiplied({ shape: [given[0].data.length, 1], data: given[0].data }, { shape: [1, given[1].data.length], data: given[1].data });
    return PLAIN[name] ? broadcast(PLAIN[name], given) : fail(`I don’t know the function “${name}”.`);
  }

  function evaluate(text, target) {
    let tree = parse(text);
    if (tree[0] === "compare" && tree[1][0] === "=" && tree[2].length === 2) tree = tree[2][1]; // dX[n,d] = …
    return indexed(tree, target) ? byElement(tree, target) : whole(tree, target.env);
  }

  const close = (a, b) => Math.abs(a - b) <= 1e-6 * Math.max(1, Math.abs(b));
  function same(found, wanted) {
    const bare = (shape) => shape.filter((n) => n !== 1).join();
    if (!found.shape.length) return wanted.data.every((x) => close(found.data[0], x)); // the same number everywhere
    return bare(found.shape) === bare(wanted.shape) && found.data.every((x, k) => close(x, wanted.data[k]));
  }

  // Whether an answer is right at all points, and what there is to say if not.
  function check(text, exercise, points) {
    if (!text.trim()) return { right: null, say: "Type an answer first." };
    const targets = points.map((point) => ({ indices: exercise.indices, shape: point[exercise.name].shape, env: without(point, exercise.name) }));
    try {
      const found = targets.map((target) => evaluate(text, target));
      const wanted = points.map((point) => point[exercise.name]);
      if (found.every((one, k) => same(one, wanted[k]))) return { right: true, say: "Right." };
      const [shape, own] = [found[0].shape, wanted[0].shape];
      if (shape.join() !== own.join()) return { right: false, say: `That is ${described(shape)}, but ${exercise.name} has the shape of ${exercise.of}: ${described(own)}.` };
      if (found.every((one, k) => same(broadcast((x) => -x, [one]), wanted[k]))) return { right: false, say: "Check the sign." };
      for (const [wrong, say] of exercise.wrong) {
        try {
          if (targets.every((target, k) => same(found[k], evaluate(wrong, target)))) return { right: false, say };
        } catch (error) {
          if (!(error instanceof Complaint)) throw error;
        }
      }
      return { right: false, say: "" };
    } catch (error) {
      if (error instanceof Complaint) return { right: null, say: error.message };
      throw error;
    }
  }
  function without(point, name) {
    const { [name]: _, ...rest } = point;
    return rest;
  }
  return { check, evaluate };
})();

// The page's exercises.
(() => {
  const data = document.getElementById("exercise-data");
  if (!data) return;
  const { points, exercises } = JSON.parse(data.textContent);
  for (const form of document.querySelectorAll("form.exercise")) {
    const exercise = exercises[Number(form.dataset.k)];
    const input = form.querySelector("input"), said = form.querySelector(".said"), show = form.querySelector(".show");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const { right, say } = Answers.check(input.value, exercise, points);
      form.dataset.state = right === true ? "right" : right === false ? "wrong" : "unread";
      const more = say || "Another value. Take the line above, differentiate it with everything else held fixed, and multiply by what arrives.";
      said.textContent = right === true ? "✓ Right. " + exercise.right : (right === false ? "✗ Not yet. " : "? ") + more;
      if (right !== true) show.hidden = false;
    });
    input.addEventListener("input", () => {
      delete form.dataset.state;
      said.textContent = "";
    });
    show.addEventListener("click", () => {
      said.textContent = `One way to write it: ${exercise.solution}`;
      form.dataset.state = "shown";
    });
  }
})();
