// A network on modular arithmetic in the reader's browser: plain blocks with attention, as in miii/model/transformer.py
// and block.py, and the rotation of its planes, as in miii/analysis/modular/steering.py. Values: miii/notebook/network.py.

const ACTIVATIONS = {
  relu: (x) => Math.max(0, x),
  square: (x) => x * x,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  tanh: Math.tanh,
  "gelu-tanh": (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
};

// ---- arrays ----

function bytes(base64) {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}

// Little-endian numbers of `size` bytes each, read by a method of DataView.
function numbers(base64, size, method) {
  const view = new DataView(bytes(base64).buffer);
  return Float64Array.from({ length: view.byteLength / size }, (_, i) => view[method](size * i, true));
}

// IEEE 754 float16: a sign, five bits of exponent, ten of fraction.
function half(bits) {
  const exponent = (bits >> 10) & 31, fraction = bits & 1023;
  const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : (fraction / 1024) * 2 ** -14;
  return bits >> 15 ? -size : size;
}

// x [rows] times W [rows, columns], plus a bias.
function times(x, W, bias) {
  const rows = x.length, columns = (W.length / rows) | 0, y = new Float64Array(columns);
  if (bias) y.set(bias);
  for (let i = 0; i < rows; i++) {
    const xi = x[i];
    if (xi === 0) continue; // a neuron that does not fire
    for (let j = 0, at = i * columns; j < columns; j++, at++) y[j] += xi * W[at];
  }
  return y;
}

function sum(x, y) {
  return x.map((value, i) => value + y[i]);
}

function softmax(scores) {
  const top = Math.max(...scores), shares = scores.map((score) => Math.exp(score - top));
  const total = shares.reduce((a, b) => a + b, 0);
  return shares.map((share) => share / total);
}

function largest(values) {
  return values.reduce((best, value, i) => (value > values[best] ? i : best), 0);
}

// ---- the network ----

class Network {
  constructor(data) {
    this.data = data;
    this.weights = {};
    const all = numbers(data.weights, 2, "getUint16").map(half);
    let at = 0;
    for (const [name, shape] of Object.entries(data.shapes)) {
      this.weights[name] = all.subarray(at, (at += shape.reduce((a, b) => a * b, 1)));
    }
    this.width = data.shapes.W_E[1];
    this.embedded = new Map(); // by token and position
    this.projected = new WeakMap(); // queries, keys and values of embedded tokens: they are the same in every pair
    this.labels = numbers(data.labels, 2, "getInt16");
    const { mean, read, write } = data.planes ?? {};
    this.planes = data.planes && {
      ...data.planes,
      ...{ mean: numbers(mean, 8, "getFloat64"), read: numbers(read, 8, "getFloat64") },
      write: numbers(write, 8, "getFloat64"),
    };
  }

  // The tokens of a pair.
  prompt(a, b) {
    const { shift, last } = this.data;
    return last === null ? [a, b + shift] : [a, b + shift, last];
  }

  // The task's answer; -1 if the task leaves the pair out.
  label(a, b) {
    return this.labels[a * this.data.p + b];
  }

  // The answer that is expected once all planes are turned by s; -1 if there is none.
  expected(a, b, s) {
    if (!this.planes) return -1;
    const { m, multipliers, constant, operands, answers } = this.planes;
    const u = operands[0][a], v = operands[1][b];
    if (u < 0 || v < 0) return -1;
    return answers[(((multipliers[0] * u + multipliers[1] * v + constant + s) % m) + m) % m];
  }

  embed(token, position) {
    const name = `${token} ${position}`, d = this.width, row = (W, i) => W.subarray(i * d, (i + 1) * d);
    if (!this.embedded.has(name)) {
      this.embedded.set(name, sum(row(this.weights.W_E, token), row(this.weights.W_pos, position)));
    }
    return this.embedded.get(name);
  }

  // Patterns [layer][head][key] of the last query, and at the last position the residual stream before the last MLP
  // (`mid`), what this MLP writes (`out`) and the logits.
  follow(a, b) {
    let resid = this.prompt(a, b).map((token, i) => this.embed(token, i));
    const patterns = [], end = resid.length - 1;
    let mid, out;
    for (let layer = 0; layer < this.data.layers; layer++) {
      const queries = resid.map((_, i) => i).slice(layer === this.data.layers - 1 ? end : 0);
      const mixed = queries.map((query) => this.attend(layer, resid, query));
      patterns.push(mixed.at(-1).pattern);
      resid = queries.map((query, i) => {
        mid = sum(resid[query], mixed[i].out);
        out = this.mlp(layer, mid);
        return sum(mid, out);
      });
    }
    return { patterns, mid, out, logits: this.unembed(sum(mid, out)) };
  }

  // Queries ("Q"), keys ("K") or values ("V") of one position, by head.
  heads(layer, which, x) {
    const known = this.projected.get(x) ?? {}, name = `blocks.${layer}.W_${which}`;
    this.projected.set(x, known);
    return (known[name] ??= this.byHead(name).map((W, head) => times(x, W, this.byHead(`blocks.${layer}.b_${which}`)?.[head])));
  }

  // The part of each head of a weight [head, ...]; undefined if the network has no such weight.
  byHead(name) {
    const { heads } = this.data, W = this.weights[name], size = W?.length / heads;
    return W && Array.from({ length: heads }, (_, head) => W.subarray(head * size, (head + 1) * size));
  }

  // One query's attention [head][key] over the positions, and what the heads write.
  attend(layer, resid, query) {
    const size = this.width / this.data.heads, visible = this.data.causal ? resid.slice(0, query + 1) : resid;
    const queries = this.heads(layer, "Q", resid[query]), W_O = this.byHead(`blocks.${layer}.W_O`);
    const keys = visible.map((x) => this.heads(layer, "K", x)), values = visible.map((x) => this.heads(layer, "V", x));
    let out = this.weights[`blocks.${layer}.b_O`] ?? new Float64Array(this.width);
    const pattern = queries.map((q, head) => {
      const scores = keys.map((k) => k[head].reduce((dot, value, i) => dot + q[i] * value, 0) / Math.sqrt(size));
      const shares = softmax(scores), z = new Float64Array(size);
      values.forEach((v, key) => v[head].forEach((value, i) => (z[i] += shares[key] * value)));
      out = sum(out, times(z, W_O[head]));
      return resid.map((_, key) => shares[key] ?? 0);
    });
    return { pattern, out };
  }

  mlp(layer, x) {
    const of = (name) => this.weights[`blocks.${layer}.${name}`];
    return times(times(x, of("W_in"), of("b_in")).map(ACTIVATIONS[this.data.act]), of("W_out"), of("b_out"));
  }

  unembed(resid) {
    return times(resid, this.weights.W_U, this.weights.b_U);
  }

  // Rotate the planes of the key frequencies at the last MLP's output by the angle of s, and change nothing else.
  // Returns the logits, and each plane's frequency with its point before and after, on the unit circle if the waves
  // are equally strong for all pairs.
  turn({ mid, out }, s) {
    const { m, frequencies, mean, read, write } = this.planes, d = this.width;
    const waves = times(out.map((x, i) => x - mean[i]), read), moved = Float64Array.from(out), points = [];
    let row = 0;
    for (const k of frequencies) {
      const angle = (2 * Math.PI * ((k * s) % m)) / m, nyquist = 2 * k === m;
      const x = waves[row], y = nyquist ? 0 : waves[row + 1], unit = Math.sqrt(nyquist ? m : m / 2);
      const turned = [x * Math.cos(angle) - y * Math.sin(angle), x * Math.sin(angle) + y * Math.cos(angle)];
      for (let i = 0; i < d; i++) {
        moved[i] += (turned[0] - x) * write[row * d + i];
        if (!nyquist) moved[i] += (turned[1] - y) * write[(row + 1) * d + i];
      }
      points.push({ k, before: [x * unit, y * unit], after: turned.map((value) => value * unit) });
      row += nyquist ? 1 : 2;
    }
    return { logits: this.unembed(sum(mid, moved)), points };
  }
}

// ---- what the reader sees ----

const SVG = "http://www.w3.org/2000/svg";
const TOP = 5; // answers listed by logit

// An element with attributes and children; text is never read as HTML.
function element(name, attributes = {}, ...children) {
  const made = /^(svg|g|rect|circle|line)$/.test(name) ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function percent(share) {
  return `${(100 * share).toFixed(1)}%`;
}

function attentionTable(network, a, b, patterns) {
  const names = network.prompt(a, b).map((token) => network.data.tokens[token]);
  const head = element("tr", {}, element("th", { scope: "col" }, "head"));
  for (const name of names) head.append(element("th", { scope: "col" }, name));
  const table = element("table", {}, element("thead", {}, head)), body = element("tbody");
  patterns.forEach((heads, layer) =>
    heads.forEach((shares, i) => {
      const name = patterns.length > 1 ? `${layer}.${i}` : `${i}`;
      const row = element("tr", {}, element("th", { scope: "row" }, name));
      for (const share of shares) {
        row.append(element("td", { style: `--share: ${Math.round(60 * share)}%` }, share.toFixed(2)));
      }
      body.append(row);
    }),
  );
  table.append(body);
  return table;
}

function dial({ k, before, after }, m, target) {
  const name = `Frequency ${k}: the point in its plane, before and after the turn`;
  const drawing = element("svg", { viewBox: "-1.4 -1.4 2.8 2.8", role: "img", "aria-label": name });
  drawing.append(element("circle", { r: 1, class: "ring" }));
  if (target !== null) {
    const angle = (2 * Math.PI * ((k * target) % m)) / m;
    const [x, y] = [Math.cos(angle), -Math.sin(angle)];
    drawing.append(element("line", { x1: 0.85 * x, y1: 0.85 * y, x2: 1.3 * x, y2: 1.3 * y, class: "target" }));
  }
  drawing.append(element("circle", { cx: before[0], cy: -before[1], r: 0.12, class: "before" }));
  drawing.append(element("line", { x1: 0, y1: 0, x2: after[0], y2: -after[1], class: "hand" }));
  drawing.append(element("circle", { cx: after[0], cy: -after[1], r: 0.12, class: "after" }));
  return element("div", { class: "dial" }, drawing, element("span", {}, `k = ${k}`));
}

function logitBars(logits, answer, target) {
  const mean = logits.reduce((a, b) => a + b, 0) / logits.length;
  const centered = logits.map((value) => value - mean);
  const high = Math.max(...centered, 1e-9), low = Math.min(...centered, 0), unit = 100 / (high - low);
  const name = `Logits of all answers; the largest is ${answer}`;
  const view = { viewBox: `0 0 ${logits.length} 112`, preserveAspectRatio: "none", role: "img", "aria-label": name };
  const drawing = element("svg", { ...view, class: "bars" });
  centered.forEach((value, c) => {
    const y = unit * (high - Math.max(value, 0)), kind = c === answer ? "bar best" : "bar";
    drawing.append(element("rect", { x: c + 0.1, y, width: 0.8, height: unit * Math.abs(value), class: kind }));
  });
  if (target >= 0) drawing.append(element("rect", { x: target, y: 104, width: 1, height: 8, class: "goal" }));
  return drawing;
}

function topTable(logits, shares, answer) {
  const best = [...logits.keys()].sort((i, j) => logits[j] - logits[i]).slice(0, TOP);
  const head = ["answer", "logit", "confidence"].map((name) => element("th", { scope: "col" }, name));
  const rows = best.map((c) =>
    element("tr", c === answer ? { class: "best" } : {}, ...[c, logits[c].toFixed(2), percent(shares[c])].map((value) => element("td", {}, `${value}`))),
  );
  return element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
}

// Show a network in an element: fields for a and b, a slider for s, and what the network does with them. Another network
// in the same element keeps their values.
function showNetwork(place, data) {
  const network = new Network(data), { planes } = network, { p } = data;
  const field = (name, value) => element("input", { type: "number", min: 0, max: p - 1, step: 1, value, "aria-label": name });
  const before = [...place.querySelectorAll("input")].map((input) => input.value);
  const a = field("a", before[0] ?? Math.min(7, p - 1)), b = field("b", before[1] ?? Math.min(9, p - 1));
  const s = element("input", { type: "range", min: 0, max: planes ? planes.m - 1 : 0, step: 1, value: before[2] ?? 0, "aria-label": "Turn the planes by s" });
  const turn = element("output"), answer = element("p", { class: "answer", "aria-live": "polite" }), parts = element("div", { class: "parts" });
  const controls = element("div", { class: "controls" }, element("label", {}, "a = ", a), element("label", {}, "b = ", b));
  if (planes) controls.append(element("label", { class: "turn" }, element("span", {}, "Turn by s = ", turn), s));
  place.replaceChildren(controls, answer, parts);

  const part = (title, note, ...shown) =>
    element("section", {}, element("h3", {}, title), ...shown, element("p", { class: "note" }, note));

  const draw = () => {
    const pair = [a, b].map((input) => (/^\d+$/.test(input.value) && Number(input.value) < p ? Number(input.value) : null));
    const wrong = [a, b].find((_, i) => pair[i] === null);
    for (const input of [a, b]) input.setAttribute("aria-invalid", input === wrong);
    if (wrong) {
      answer.textContent = `${wrong.getAttribute("aria-label")} must be a whole number from 0 to ${p - 1} (got ${wrong.value || "nothing"}).`;
      return;
    }
    const by = Number(s.value), found = network.follow(...pair), turned = planes && network.turn(found, by);
    const logits = Array.from(by ? turned.logits : found.logits), shares = softmax(logits), best = largest(logits);
    const label = network.label(...pair), target = by ? network.expected(...pair, by) : label;
    turn.textContent = `${by}`;
    const right = target < 0 ? "" : best === target ? (by ? " As expected." : " Correct.") : ` Expected: ${target}.`;
    const means = by
      ? `Turned by ${by}, the network answers `
      : `For a = ${pair[0]} and b = ${pair[1]} the network answers `;
    answer.replaceChildren(means, element("b", {}, `${best}`), ` (confidence ${percent(shares[best])}).${right}`);
    const shown = [
      part("Tokens and attention", "Where each head looks from the last token.", attentionTable(network, ...pair, found.patterns)),
      part("Logits", `All ${p} answers, and the ${TOP} largest. The mark below is the expected answer.`, logitBars(logits, best, target), topTable(logits, shares, best)),
    ];
    if (planes) {
      const wanted = network.expected(...pair, by), goal = wanted < 0 ? null : planes.answers.indexOf(wanted) - planes.constant;
      const dials = element("div", { class: "dials" }, ...turned.points.map((point) => dial(point, planes.m, goal === null ? null : ((goal % planes.m) + planes.m) % planes.m)));
      shown.splice(1, 0, part("Planes", `${planes.sum} as an angle, at each key frequency k. Ring: before the turn. Dot: after it. Line: expected.`, dials));
    }
    parts.replaceChildren(...shown);
  };
  for (const input of [a, b, s]) input.addEventListener("input", draw);
  draw();
}
