// Numbers that are typed, or drawn anew.

function typed(input) {
  const id = Number(input.dataset.id);
  const number = parsed(input.value);
  const said = { label: model.labels[id], text: input.value.trim() || "“”" };
  input.setAttribute("aria-invalid", String(number === null));
  complainOfNumber(number === null ? say("invalid", said) : "");
  if (number === null || model.values[id] === number) return;
  model.values[id] = number;
  renew();
}

// What is no number does not stay when the cell is left.
function leave(input) {
  input.removeAttribute("aria-invalid");
  complainOfNumber("");
  writeNumbers();
}

// New numbers: a server computes what follows from them, else the page does.
function renew() {
  state.typed = true;
  if (data.served) {
    ask(model.told.words, {}, { keep: true });
    return;
  }
  model.compute();
  showNumbers();
  writeAddress();
}

function randomise() {
  const digits = [-4, -3, -2, -1, 1, 2, 3, 4, 5];
  for (const { first, labels } of model.given()) {
    labels.forEach((_, i) => {
      model.values[first + i] = digits[Math.floor(Math.random() * digits.length)];
    });
  }
  renew();
}
