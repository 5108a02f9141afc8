// Squares of numbers, and where each number is shown: painting goes by id.

// A square of a tensor's numbers; the given ones can be typed into.
function squareTable(tensor, square) {
  return tableOf(square.name, square, (place) =>
    numberCell(square.cells.get(place.join()), tensor.given),
  );
}

function tensorFigures(tensor, shape) {
  const squares = planes(tensor).map((square) => squareTable(tensor, square));
  const figures = make("div", { className: "tensor", dataset: { shape } }, ...squares);
  figures.querySelectorAll("table").forEach(makeReachable);
  return figures;
}

// The same squares for a tensor whose numbers are counted from elsewhere.
function renumbered(figures, tensor) {
  const ids = planes(tensor).flatMap((square) =>
    rowsOf(square.extents)
      .flat()
      .map((place) => square.cells.get(place.join())),
  );
  figures.querySelectorAll("[data-id]").forEach((cell, i) => {
    cell.dataset.id = ids[i];
  });
  return figures;
}

// A square that is only looked at; `from` says which number stands at a place.
function plainTable(square, name = square.name, from = (place) => place) {
  return tableOf(name, square, (place) =>
    numberCell(square.cells.get(from(place).join()), false),
  );
}

function tableOf(name, { extents }, cell) {
  const rows = rowsOf(extents).map((row) =>
    make("tr", { aria: { role: "row" } }, ...row.map(cell)),
  );
  const grid = make(
    "table",
    { className: "square", aria: { role: "grid", label: name } },
    ...rows,
  );
  return make("figure", {}, make("figcaption", {}, name), grid);
}

function numberCell(id, isGiven) {
  if (!isGiven) {
    return make("td", { tabIndex: -1, dataset: { id }, aria: { role: "gridcell" } });
  }
  const input = make("input", {
    type: "text",
    inputMode: "decimal",
    tabIndex: -1,
    spellcheck: false,
    dataset: { id },
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
  (element.querySelector(".number") ?? element).textContent = text;
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
function makeReachable(table) {
  const cells = [...table.querySelectorAll("[data-id]")];
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
