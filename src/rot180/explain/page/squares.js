// Squares of numbers, and where each number is shown: painting goes by id.

// All squares of a tensor; the given ones can be typed into.
function tensorSquares(tensor) {
  const { name, shape, axes, given, captions } = tensor;
  return {
    key: JSON.stringify([name, shape, axes, given, captions]),
    ids: planes(tensor).flatMap(({ ids }) => ids),
    build() {
      const squares = planes(tensor).map((one) =>
        make(
          "figure",
          {},
          caption(one),
          gridOf(one, () => numberCell(given)),
        ),
      );
      squares.forEach(makeReachable);
      return make("div", { className: "tensor" }, ...squares);
    },
  };
}

function caption({ name }) {
  return make("figcaption", {}, name);
}

// A grid of cells; which numbers they show is said afterwards.
function gridOf({ name, extents }, cell) {
  const rows = rowsOf(extents).map((row) =>
    make("tr", { aria: { role: "row" } }, ...row.map(cell)),
  );
  const aria = { role: "grid", label: name };
  return make("table", { className: "square", aria }, ...rows);
}

function numberCell(isGiven) {
  if (!isGiven) {
    return make("td", {
      tabIndex: -1,
      dataset: { id: "" },
      aria: { role: "gridcell" },
    });
  }
  const input = make("input", {
    type: "text",
    inputMode: "decimal",
    tabIndex: -1,
    spellcheck: false,
    dataset: { id: "" },
  });
  return make("td", { className: "given", aria: { role: "gridcell" } }, input);
}

// By id: the elements that show it.
const places = new Map();

function collectPlaces() {
  places.clear();
  for (const element of document.querySelectorAll("[data-id]")) {
    const id = Number(element.dataset.id);
    if (!places.has(id)) places.set(id, []);
    places.get(id).push(element);
  }
}

function writeNumbers() {
  for (const [id, elements] of places) {
    const text = state.show === "letters" ? model.labels[id] : shown(model.values[id]);
    for (const element of elements) writeNumber(element, id, text);
  }
}

function writeNumber(element, id, text) {
  const label = model.labels[id];
  const value = shown(model.values[id]);
  element.classList.toggle("long", text.length > 4);
  if (element.tagName === "INPUT") {
    element.readOnly = state.show === "letters";
    if (element !== document.activeElement) element.value = text;
    element.setAttribute("aria-label", say("edit", { label }));
    return;
  }
  if (element.textContent !== text) element.textContent = text;
  element.setAttribute("aria-label", say("cell", { label, value }));
}

const ROLES = ["result", "first", "second", "fed", "taken", "pointed"];

let marked = [];

// Marks what a number is made of, and what it feeds.
function paint(id) {
  for (const element of marked) element.classList.remove(...ROLES);
  marked = [];
  const equation = model.equations.get(id);
  mark(id, equation ? "result" : "pointed");
  for (const term of equation?.terms ?? []) {
    for (const factor of term.factors) mark(factor, operandRole(equation, factor));
    if (term.choice) mark(term.choice.cell, "taken");
  }
  for (const other of model.feeds[id]) mark(other, "fed");
}

function operandRole(equation, id) {
  return equation.pass.operands.indexOf(model.owners[id].name) === 0
    ? "first"
    : "second";
}

function mark(id, role) {
  for (const element of places.get(id) ?? []) {
    element.classList.add(role);
    marked.push(element);
  }
}

// One cell of each square can be reached with Tab, the others with the arrows.
function makeReachable(square) {
  const cells = [...square.querySelectorAll("[data-id]")];
  cells.forEach((cell, i) => {
    cell.tabIndex = i === 0 ? 0 : -1;
  });
}

function moveFocus(event, from) {
  const step = {
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0],
  }[event.key];
  if (!step || (from.tagName === "INPUT" && step[1] && !atEdge(from, step[1]))) return;
  const cell = from.closest("td");
  const row = cell.parentElement;
  const next =
    row.parentElement.children[[...row.parentElement.children].indexOf(row) + step[0]]
      ?.children[[...row.children].indexOf(cell) + step[1]];
  const target = next?.matches("[data-id]") ? next : next?.querySelector("[data-id]");
  if (!target) return;
  event.preventDefault();
  from.tabIndex = -1;
  target.tabIndex = 0;
  target.focus();
  if (target.tagName === "INPUT") target.select();
}

function atEdge(input, direction) {
  const whole = input.selectionStart === 0 && input.selectionEnd === input.value.length;
  const edge = direction < 0 ? 0 : input.value.length;
  return whole || (input.selectionStart === edge && input.selectionEnd === edge);
}
