// What is explained: numbers, and the terms that each is made of.  All numbers of all
// tensors are counted through; a number's id is its place in that count.

const data = JSON.parse(document.getElementById("data").textContent);

const model = {
  load(told) {
    this.told = told;
    this.tensors = new Map(told.tensors.map((tensor) => [tensor.name, tensor]));
    this.labels = told.tensors.flatMap((tensor) => tensor.labels);
    this.owners = told.tensors.flatMap((tensor) => tensor.labels.map(() => tensor));
    this.values = told.tensors.flatMap((tensor) => tensor.values.map(fromJson));
    this.winners = new Map();
    this.equations = new Map();
    this.feeds = this.labels.map(() => []);
    for (const pass of told.passes) {
      const { first } = this.tensors.get(pass.out);
      pass.equations.forEach((equation, i) => this.add(first + i, equation, pass));
    }
  },

  add(id, equation, pass) {
    this.equations.set(id, { ...equation, id, pass });
    for (const read of new Set(reads(equation))) this.feeds[read].push(id);
  },

  // Computes all that is not given, in the order of the passes.
  compute() {
    this.winners.clear();
    for (const [id, equation] of this.equations) {
      this.values[id] = this.value(equation);
    }
  },

  value(equation) {
    const products = equation.terms.map((term) => this.product(term));
    if (equation.reduction === "max") {
      return products.reduce(
        (one, other) => Math.max(one, other),
        equation.floor ?? -Infinity,
      );
    }
    const overs = equation.terms.map((term) => term.over ?? 1);
    if (new Set(overs).size === 1) return sum(products) / overs[0];
    return sum(products.map((product, i) => product / overs[i]));
  },

  product(term) {
    if (term.choice && this.taken(term.choice.of) !== term.choice.cell) return 0;
    return term.factors.reduce((all, id) => all * this.values[id], term.sign ?? 1);
  },

  // Which number a maximum took: the first of the greatest; null if the floor stands.
  taken(id) {
    if (!this.winners.has(id)) this.winners.set(id, this.winner(id));
    return this.winners.get(id);
  },

  winner(id) {
    const { terms, floor } = this.equations.get(id);
    const among = terms.map((term) => term.factors[0]);
    const best = among.reduce((one, other) =>
      this.values[other] > this.values[one] ? other : one,
    );
    return floor !== null && this.values[best] <= floor ? null : best;
  },

  given() {
    return this.told.tensors.filter((tensor) => tensor.given);
  },

  numbers(tensor) {
    return this.values.slice(tensor.first, tensor.first + tensor.labels.length);
  },
};

function reads(equation) {
  return equation.terms.flatMap(readsOf);
}

function readsOf({ factors, choice }) {
  return choice ? [...factors, choice.cell] : factors;
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

const MOST = 1e9;

// The number that a text stands for, or null.
function parsed(text) {
  const plain = text.trim().replaceAll("−", "-");
  const isNumber = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain);
  return isNumber && Math.abs(Number(plain)) <= MOST ? Number(plain) : null;
}

// JSON has no number for what a window has that saw nothing.
function fromJson(value) {
  return value === "-inf" ? -Infinity : value;
}

// To six digits where there are many, as Python does.
function shown(number) {
  if (number === -Infinity) return "−∞";
  const exact = String(number === 0 ? 0 : number);
  const isFull =
    exact.length <= 8 || (Number.isInteger(number) && Math.abs(number) < 1e16);
  const short = isFull ? exact : String(Number(number.toPrecision(6)));
  return short.replace("-", "−");
}

// What stands in one square each: a tensor's rows and columns, plane by plane.
const squaresOf = new WeakMap();

function planes(tensor) {
  if (!squaresOf.has(tensor)) squaresOf.set(tensor, cutIntoPlanes(tensor));
  return squaresOf.get(tensor);
}

// Whether an axis is rows or columns.
function isSpatial(axis) {
  return "hwrs".includes(axis);
}

function cutIntoPlanes(tensor) {
  const spatial = tensor.axes.map(isSpatial);
  const extents = tensor.shape.filter((_, i) => spatial[i]);
  const squares = new Map();
  tensor.labels.forEach((_, flat) => {
    const at = position(flat, tensor.shape);
    const plane = at.filter((_, i) => !spatial[i]).join();
    if (!squares.has(plane)) squares.set(plane, []);
    squares.get(plane).push(tensor.first + flat);
  });
  const { captions } = tensor;
  return [...squares.values()].map((ids, i) => ({ name: captions[i], extents, ids }));
}

// Which number of a square stands at a place.
function idAt({ extents, ids }, place) {
  return ids[place.reduce((flat, i, dim) => flat * extents[dim] + i, 0)];
}

function position(flat, shape) {
  const at = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    at.unshift(flat % shape[axis]);
    flat = Math.floor(flat / shape[axis]);
  }
  return at;
}

// The places of a plane, row by row; one row in one dimension, one cell in none.
function rowsOf(extents) {
  const [height, width] = extents.length > 1 ? extents : [1, extents[0] ?? 1];
  return Array.from({ length: height }, (_, i) =>
    Array.from({ length: width }, (_, j) =>
      extents.length > 1 ? [i, j] : [j].slice(0, extents.length),
    ),
  );
}
