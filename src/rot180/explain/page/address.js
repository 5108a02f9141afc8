// The address, which holds all that the page shows.

// Soon, and once for many changes: browsers limit how often it may change.
function writeAddress() {
  clearTimeout(state.addressTimer);
  state.addressTimer = setTimeout(replaceAddress, 200);
}

function replaceAddress() {
  if (state.playing) return;
  const query = data.served ? servedQuery() : new URLSearchParams();
  query.set("pass", pass().out);
  query.set("cell", model.labels[current()]);
  if (state.show !== "numbers") query.set("show", state.show);
  query.set("language", state.language);
  if (state.theme !== "auto") query.set("theme", state.theme);
  if (state.typed) setNumbers(query);
  try {
    history.replaceState(null, "", `${data.served ? "?" : "#"}${query}`);
  } catch {
    // A page inside a notebook has no address of its own.
  }
}

// What is explained, as a server reads it.
function servedQuery(words = model.told.words) {
  const query = new URLSearchParams(words);
  if (model.told.seed) query.set("seed", model.told.seed);
  if (model.told.count_from !== 1) query.set("count_from", model.told.count_from);
  return query;
}

// With the numbers that are typed and not yet answered.
function setNumbers(query, pending = new Map()) {
  for (const tensor of model.given()) {
    const numbers = model.numbers(tensor);
    const typed = numbers.map((number, i) => pending.get(tensor.first + i) ?? number);
    query.set(tensor.name, typed.join(","));
  }
}

// How the page looks at first: as it was written, or as a saved page's address says.  The
// address of a served page was read by the server.
function readAddress() {
  const query = new Map(data.served ? [] : new URLSearchParams(location.hash.slice(1)));
  const spoken = (navigator.languages ?? [])[0] ?? "en";
  state.typed = model.told.typed.length > 0;
  const wanted = { ...data.view };
  for (const [name, text] of query) readOne(wanted, name, text);
  state.language = wanted.language ?? (spoken.startsWith("zh") ? "zh" : "en");
  state.show = wanted.show ?? "numbers";
  state.theme = wanted.theme ?? "auto";
  document.documentElement.dataset.theme = state.theme;
  const owner = model.equations.get(model.labels.indexOf(wanted.cell));
  const isOfPass = owner && (!wanted.pass || owner.pass.out === wanted.pass);
  const out = isOfPass ? owner.pass.out : wanted.pass;
  state.pass = Math.max(
    0,
    model.told.passes.findIndex((one) => one.out === out),
  );
  state.step = isOfPass ? owner.id - model.tensors.get(out).first : 0;
  if (query.size && state.typed) model.compute();
}

// Puts one part of an address to use; says where the page does not have it.
function readOne(wanted, name, text) {
  const known = {
    pass: model.told.passes.map((one) => one.out),
    cell: model.labels,
    show: ["numbers", "letters"],
    language: Object.keys(data.texts),
    theme: ["auto", "light", "dark"],
  };
  if (Object.hasOwn(known, name) && known[name].includes(text)) {
    wanted[name] = text;
  } else if (!readNumbers(name, text)) {
    state.unknown = { name, text: text.slice(0, 40) };
  }
}

function readNumbers(name, text) {
  const tensor = model.given().find((one) => one.name === name);
  const numbers = text.split(",").map(parsed);
  if (numbers.length !== tensor?.labels.length || numbers.includes(null)) return false;
  numbers.forEach((one, i) => {
    model.values[tensor.first + i] = one;
  });
  state.typed = true;
  return true;
}
