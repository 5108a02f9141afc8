// Numbers that are typed, or drawn anew.

function typed(input) {
  const id = Number(input.dataset.id);
  const number = parsed(input.value);
  const said = { label: model.labels[id], text: input.value.trim() || "“”" };
  input.setAttribute("aria-invalid", String(number === null));
  complainOfNumber(number === null ? say("invalid", said) : "");
  if (number === null || (state.pending.get(id) ?? model.values[id]) === number) return;
  change(new Map([[id, number]]));
}

// A number that is shown short stands there in full while it can be typed into.
function enter(input) {
  if (input.readOnly) return;
  input.value = String(model.values[Number(input.dataset.id)]).replaceAll("-", "−");
  input.select();
}

// What is no number does not stay when the cell is left.
function leave(input) {
  input.removeAttribute("aria-invalid");
  complainOfNumber("");
  writeNumbers();
}

// New numbers: a server computes what follows from them, and nothing is shown before;
// else the page does.
function change(numbers) {
  if (data.served) {
    for (const [id, number] of numbers) state.pending.set(id, number);
    renew();
    return;
  }
  for (const [id, number] of numbers) model.values[id] = number;
  state.typed = true;
  model.compute();
  showNumbers();
  writeAddress();
}

// Others than before: a server draws them, else the page.
function randomise() {
  if (data.served) {
    state.typed = false;
    state.pending.clear();
    ask(model.told.words, { seed: 1 + Math.floor(Math.random() * 9999) });
    return;
  }
  const digits = [-4, -3, -2, -1, 1, 2, 3, 4, 5];
  const ids = model
    .given()
    .flatMap(({ first, labels }) => labels.map((_, i) => first + i));
  change(
    new Map(ids.map((id) => [id, digits[Math.floor(Math.random() * digits.length)]])),
  );
}
