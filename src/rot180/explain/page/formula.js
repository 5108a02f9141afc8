// Equations as MathML, term by term.

const MATHML = "http://www.w3.org/1998/Math/MathML";

function math(tag, ...children) {
  const element = document.createElementNS(MATHML, tag);
  element.append(...children);
  return element;
}

// X with its indices: X12, X(1, 2) and X[0, 1] all become X with a subscript.
function symbol(id) {
  const { name } = model.owners[id];
  const rest = model.labels[id].slice(name.length);
  const letter = math("mi", name);
  if (!rest) return letter;
  const parts = /^\d/.test(rest) ? [...rest] : rest.slice(1, -1).split(/(,)/);
  const indices = parts.map((part) => math(part === "," ? "mo" : "mn", part));
  return math("msub", letter, math("mrow", ...indices));
}

function numeral(number, isAlone) {
  if (number >= 0) return math("mn", shown(number));
  const minus = math("mo", "−");
  minus.setAttribute("form", "prefix");
  const digits = number === -Infinity ? math("mi", "∞") : math("mn", shown(-number));
  return isAlone
    ? math("mrow", minus, digits)
    : math("mrow", math("mo", "("), minus, digits, math("mo", ")"));
}

// 1 where the maximum took this one, else 0.
function bracket({ cell, of }) {
  const { floor } = model.equations.get(of);
  const said =
    floor === null
      ? [symbol(of), math("mo", "←"), symbol(cell)]
      : [symbol(cell), math("mo", ">"), math("mn", String(floor))];
  return math("mrow", math("mo", "["), ...said, math("mo", "]"));
}

const LETTERS = { factor: symbol, choice: bracket };

function numbersOf(equation) {
  const parts = equation.terms.flatMap((term) => [
    ...term.factors,
    ...(term.choice ? [0] : []),
  ]);
  const isAlone = parts.length === 1 || equation.reduction === "max";
  return {
    factor: (id) => numeral(model.values[id], isAlone),
    choice: ({ cell, of }) => math("mn", model.taken(of) === cell ? "1" : "0"),
  };
}

function product(term, write) {
  const factors = term.factors.map(write.factor);
  if (term.choice) factors.push(write.choice(term.choice));
  return factors.flatMap((factor, i) => (i ? [math("mo", "⋅"), factor] : [factor]));
}

// The terms of an equation, each with its sign and its own divisor, as rows of a table.
function termNodes(equation, write) {
  const shared = sharedOver(equation);
  return equation.terms.map((term, i) => {
    const own =
      term.over && term.over !== shared
        ? [math("mo", "/"), math("mn", String(term.over))]
        : [];
    const sign = equation.reduction === "max" ? "," : term.sign < 0 ? "−" : "+";
    const lead = i ? [infix(sign)] : sign === "−" ? [math("mo", sign)] : [];
    const node = math("mrow", ...lead, ...product(term, write), ...own);
    node.classList.add("term");
    node.dataset.term = i;
    return node;
  });
}

// A sign at the start of a term still stands between two terms.
function infix(sign) {
  const node = math("mo", sign);
  node.setAttribute("form", "infix");
  return node;
}

function sharedOver(equation) {
  const overs = new Set(equation.terms.map((term) => term.over ?? 1));
  return overs.size === 1 ? [...overs][0] : 1;
}

// What stands around the terms: max(...), or (...)/4.
function around(equation) {
  if (equation.reduction === "max") {
    if (!equation.terms.length) return [[math("mo", "−"), math("mi", "∞")], []];
    const floor =
      equation.floor === null
        ? []
        : [math("mo", ","), math("mn", String(equation.floor))];
    return [
      [math("mi", "max"), math("mo", "(")],
      [...floor, math("mo", ")")],
    ];
  }
  if (!equation.terms.length) return [[math("mn", "0")], []];
  const over = sharedOver(equation);
  if (over === 1) return [[], []];
  const divisor = [math("mo", "/"), math("mn", String(over))];
  if (equation.terms.length === 1) return [[], divisor];
  return [[math("mo", "(")], [math("mo", ")"), ...divisor]];
}

// A side of the equation, broken into lines of so many terms.
function side(equation, write, perLine) {
  const [before, behind] = around(equation);
  const terms = termNodes(equation, write);
  const lines = [];
  for (let i = 0; i < Math.max(terms.length, 1); i += perLine) {
    lines.push(terms.slice(i, i + perLine));
  }
  lines[0].unshift(...before);
  lines.at(-1).push(...behind);
  return lines;
}

// Whether numbers are written in full.
function equals(ids) {
  const isFull = (value) =>
    Number(shown(value).replace("−", "-").replace("∞", "Infinity")) === value;
  return ids.every((id) => isFull(model.values[id])) ? "=" : "≈";
}

// The whole equation: a name, its letters, its numbers, its value.
function equationNode(equation, perLine) {
  const rows = [];
  const add = (lead, sign, lines) =>
    lines.forEach((line, i) =>
      rows.push(
        math(
          "mtr",
          math("mtd", ...(i ? [] : lead)),
          math("mtd", ...(i ? [] : [math("mo", sign)])),
          math("mtd", math("mrow", ...line)),
        ),
      ),
    );
  const factors = equation.terms.flatMap((term) => term.factors);
  add([symbol(equation.id)], "=", side(equation, LETTERS, perLine));
  if (state.show === "letters") return math("math", math("mtable", ...rows));
  add([], equals(factors), side(equation, numbersOf(equation), perLine));
  add([], equals([equation.id]), [[numeral(model.values[equation.id], true)]]);
  const table = math("mtable", ...rows);
  return math("math", table);
}
