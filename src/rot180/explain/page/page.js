// The state of the page, what changes it, and its address.

const VIEW = ["pass", "cell", "show", "language", "theme"];
const SPEEDS = { slow: 1600, normal: 800, fast: 300 };
const MOST = 1e9;

const state = {
  pass: 0, step: 0, over: null, playing: 0, show: "numbers", language: "en", theme: "auto",
  framework: "pytorch", speed: 800, typed: false, timer: null, asked: 0,
};

const byId = (id) => document.getElementById(id);
const pass = () => model.told.passes[state.pass];
const current = () => model.tensors.get(pass().out).first + state.step;

function say(key, filled = {}) {
  const text = data.texts[state.language][key];
  if (text === undefined) return key.startsWith("parameter.") ? key.slice(10) : key;
  return text.replace(/\{(\w+)\}/g, (_, name) => filled[name]);
}

// ------------------------------------------------------------------ what is shown

function showAll() {
  stopPlaying();
  document.documentElement.lang = state.language === "zh" ? "zh-Hans" : "en";
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  buildView();
  buildControls();
  buildPasses();
  buildTensors();
  buildTimeline();
  buildFrameworks();
  showDocument();
}

function showDocument() {
  byId("command").textContent = model.told.command;
  stage.key = null;
  showPass();
  showProgram();
}

function buildView() {
  byId("view").replaceChildren(
    labelled("language", [["en", "English"], ["zh", "简体中文"]], state.language, (value) => { state.language = value; showAll(); }),
    labelled("theme", ["auto", "light", "dark"].map((name) => [name, say(`theme.${name}`)]), state.theme, setTheme),
    labelled("show", ["numbers", "letters"].map((name) => [name, say(`show.${name}`)]), state.show, (value) => { state.show = value; showNumbers(); }),
    ...(data.served ? [labelled("count", [["1", "1"], ["0", "0"]], String(model.told.count_from), (value) => ask(model.told.words, { count_from: value }))] : []),
  );
}

function labelled(key, options, value, change) {
  const select = make("select", { id: `view-${key}` }, ...options.map(([name, text]) => make("option", { value: name, selected: name === value }, text)));
  select.addEventListener("change", () => { change(select.value); writeAddress(); });
  return make("label", {}, `${say(key)} `, select);
}

function setTheme(theme) {
  state.theme = theme;
  document.documentElement.dataset.theme = theme;
  byId("view-theme").value = theme;
}

function buildPasses() {
  byId("passes").setAttribute("aria-label", say("passes"));
  byId("passes").replaceChildren(...model.told.passes.map((one, i) => {
    const text = one.title[state.language];
    const tab = make("button", { type: "button", id: `pass-${one.out}`, title: text, aria: { role: "tab", controls: "panel" } }, text);
    tab.addEventListener("click", () => goTo(i, 0));
    return tab;
  }));
}

// Squares of the same shape stay, so that a change costs no more than it has to.
function buildTensors() {
  const known = new Map([...byId("tensors").children].map((one) => [one.dataset.shape, one]));
  byId("tensors").replaceChildren(...model.told.tensors.map((tensor) => {
    const shape = JSON.stringify([tensor.name, tensor.shape, tensor.axes, tensor.given, model.told.count_from, isShown("c"), isShown("n")]);
    return known.has(shape) ? renumbered(known.get(shape), tensor) : tensorFigures(tensor, shape);
  }));
  const given = model.given().map((tensor) => tensor.name).join(", ");
  byId("tensors-hint").textContent = say("tensors.hint", { given });
}

function showPass() {
  [...byId("passes").children].forEach((tab, i) => {
    tab.setAttribute("aria-selected", String(i === state.pass));
    tab.tabIndex = i === state.pass ? 0 : -1;
  });
  byId("panel").setAttribute("aria-labelledby", `pass-${pass().out}`);
  const paragraph = (text) => make("p", {}, text);
  const code = (text) => make("code", { className: "index" }, text);
  const { sentences, formulas, gathered } = pass();
  byId("words").replaceChildren(
    ...sentences[state.language].map(paragraph), ...formulas.map(code),
    ...(gathered.length ? [paragraph(say("gathered")), ...gathered.map(code)] : []),
  );
  byId("step").max = pass().equations.length - 1;
  showLegend();
  showStep();
}

function showStep() {
  byId("step").value = state.step;
  const of = pass().equations.length;
  byId("step-text").textContent = say("step", { n: state.step + 1, of });
  byId("step").setAttribute("aria-valuetext", `${say("step", { n: state.step + 1, of })}: ${model.labels[current()]}`);
  showFocus();
  writeAddress();
}

// What is pointed at, or else the step: on the stage, in the squares, as an equation.
function showFocus() {
  const focus = state.over ?? current();
  const equation = model.equations.get(focus);
  const laid = equation?.pass === pass() ? equation : model.equations.get(current());
  if (stage.show(pass(), laid)) {
    collectPlaces();
    writeNumbers();
  }
  if (pass().slide) stage.lay(pass(), laid);
  paint(focus);
  showEquation(equation, focus);
}

function showNumbers() {
  writeNumbers();
  showFocus();
  showProgram();
}

function showEquation(equation, id) {
  const box = byId("formula");
  if (equation) fitEquation(box, equation);
  else box.replaceChildren(math("math", symbol(id), math("mo", "="), math("mn", shown(model.values[id]))));
  const choice = equation?.terms.find((term) => term.choice && model.equations.get(term.choice.of).floor === null)?.choice;
  const took = choice && { of: model.labels[choice.of], cell: model.labels[choice.cell] };
  byId("note").textContent = took ? say("took", took) : equation && !equation.terms.length ? say("nothing") : "";
  const list = model.feeds[id].map((other) => model.labels[other]);
  const some = list.length > 16 ? [...list.slice(0, 16), "…"] : list;
  byId("feeds").textContent = list.length ? say("feeds", { label: model.labels[id], list: some.join(", ") }) : "";
}

// As many terms in a line as there is room for: an estimate, mended when it is laid out.
function fitEquation(box, equation) {
  const letters = equation.terms.map((term) => term.factors.reduce((n, id) => n + model.labels[id].length + 2, term.choice ? 14 : 0));
  const widest = Math.max(1, ...letters) * 11;
  fitLines(box, equation, Math.max(1, Math.floor(((state.width || 900) - 90) / widest)));
}

function fitLines(box, equation, perLine) {
  const node = equationNode(equation, perLine);
  box.replaceChildren(node);
  requestAnimationFrame(() => {
    state.width = box.clientWidth;
    const isWide = node.isConnected && box.scrollWidth > box.clientWidth;
    if (isWide && perLine > 1) fitLines(box, equation, Math.floor(perLine * 0.8));
  });
}

function showLegend() {
  const { operands, out } = pass();
  const parts = [["first", operands[0]], ["second", operands[1]], ["result", out]].filter(([, name]) => name);
  byId("legend").replaceChildren(
    ...parts.map(([role, name]) => make("span", { className: `key ${role}` }, name)),
    make("span", { className: "key fed" }, say("legend.fed")),
  );
}

// ---------------------------------------------------------------------- the steps

function buildTimeline() {
  const button = (key, sign, act) => {
    const made = make("button", { type: "button", id: `go-${key}`, title: say(key), aria: { label: say(key) } }, sign);
    made.addEventListener("click", act);
    return made;
  };
  const slider = make("input", { type: "range", id: "step", min: 0, step: 1, aria: { label: say("timeline") } });
  slider.addEventListener("input", () => { stopPlaying(); goTo(state.pass, Number(slider.value)); });
  const speeds = Object.entries(SPEEDS).map(([name, wait]) => make("option", { value: wait, selected: wait === state.speed }, { slow: "½×", normal: "1×", fast: "3×" }[name]));
  const speed = make("select", { id: "speed", aria: { label: say("speed") } }, ...speeds);
  speed.addEventListener("change", () => { state.speed = Number(speed.value); if (state.playing) play(state.playing); });
  byId("timeline").replaceChildren(
    button("first", "|◀", () => { stopPlaying(); goTo(state.pass, 0); }),
    button("reverse", "◀", () => toggle(-1)),
    button("back", "−1", () => { stopPlaying(); move(-1); }),
    button("next", "+1", () => { stopPlaying(); move(1); }),
    button("play", "▶", () => toggle(1)),
    button("last", "▶|", () => { stopPlaying(); goTo(state.pass, pass().equations.length - 1); }),
    slider, make("span", { id: "step-text" }), speed,
  );
}

function goTo(index, step) {
  state.over = null;
  if (index !== state.pass) stopPlaying();
  const isNew = index !== state.pass;
  state.pass = index;
  state.step = step;
  if (isNew) showPass(); else showStep();
}

// A step on or back; returns whether there was one.
function move(by) {
  const next = state.step + by;
  if (next < 0 || next >= pass().equations.length) return false;
  goTo(state.pass, next);
  return true;
}

function toggle(direction) {
  if (state.playing === direction) stopPlaying(); else play(direction);
}

function play(direction) {
  clearInterval(state.timer);
  state.playing = direction;
  if (!move(direction)) goTo(state.pass, direction > 0 ? 0 : pass().equations.length - 1);
  state.timer = setInterval(() => { if (!move(direction)) stopPlaying(); }, state.speed);
  showPlaying();
}

function stopPlaying() {
  if (!state.playing) return;
  clearInterval(state.timer);
  state.playing = 0;
  showPlaying();
  writeAddress();
}

function showPlaying() {
  for (const [key, direction, sign] of [["play", 1, "▶"], ["reverse", -1, "◀"]]) {
    const on = state.playing === direction;
    const button = byId(`go-${key}`);
    button.textContent = on ? "❚❚" : sign;
    button.setAttribute("aria-label", say(on ? "pause" : key));
    button.title = say(on ? "pause" : key);
  }
}

// ----------------------------------------------------------------------- the code

function buildFrameworks() {
  byId("frameworks").replaceChildren(...Object.entries(data.frameworks).map(([key, name]) => {
    const tab = make("button", { type: "button", aria: { role: "tab", selected: String(key === state.framework), controls: "program" }, tabIndex: key === state.framework ? 0 : -1 }, name);
    tab.addEventListener("click", () => { state.framework = key; buildFrameworks(); showProgram(); });
    return tab;
  }));
}

function showProgram() {
  let text = model.told.code[state.framework];
  for (const tensor of model.given()) {
    text = text.replace(`⟦${tensor.name}⟧`, `[${model.numbers(tensor).join(", ")}]`);
  }
  byId("program").textContent = text;
}

async function copyProgram() {
  const text = byId("program").textContent;
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    getSelection().selectAllChildren(byId("program"));
    done = document.execCommand("copy");
  }
  byId("copied").textContent = say(done ? "copied" : "copy.failed");
  setTimeout(() => { byId("copied").textContent = ""; }, 2000);
}

// --------------------------------------------------------------------- what is typed

function typed(input) {
  const id = Number(input.dataset.id);
  const text = input.value.trim().replace("−", "-");
  const number = Number(text);
  const isNumber = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) && Math.abs(number) <= MOST;
  input.setAttribute("aria-invalid", String(!isNumber));
  complain(isNumber ? "" : say("invalid", { label: model.labels[id], text: text || "“”" }));
  if (!isNumber) return;
  if (model.values[id] === number) return;
  model.values[id] = number;
  state.typed = true;
  renew();
}

// New numbers: a server computes what follows from them, else the page does.
function renew() {
  if (data.served) ask(model.told.words, {}, { keep: true });
  else {
    model.compute();
    showNumbers();
    writeAddress();
  }
}

function randomise() {
  for (const tensor of model.given()) {
    tensor.labels.forEach((_, i) => { model.values[tensor.first + i] = Math.floor(Math.random() * 10) - 4; });
  }
  state.typed = true;
  renew();
}

function complain(message) {
  byId("problem").textContent = message;
}

// ---------------------------------------------------------------------- the server

function valuesQuery(query) {
  for (const tensor of model.given()) query.set(tensor.name, model.numbers(tensor).join(","));
  return query;
}

// Asks for an explanation.  With `keep`, of the same parameters with these numbers;
// else numbers that fit the new parameters stay as they are.
async function ask(words, more = {}, { keep = false } = {}) {
  const query = new URLSearchParams({ count_from: model.told.count_from, ...Object.fromEntries(new URLSearchParams(words)), ...more });
  if (state.typed) valuesQuery(query);
  if (!keep) query.set("fit", "true");
  const asked = ++state.asked;
  let answer;
  let told;
  try {
    answer = await fetch(`api/explain?${query}`);
    told = await answer.json();
  } catch (error) {
    if (asked === state.asked) complain(say("offline", { reason: error.message }));
    return;
  }
  if (asked !== state.asked) return;
  if (!answer.ok) {
    complain(told.error);
    return;
  }
  complain("");
  take(told, keep);
}

function take(told, keep) {
  const { out } = pass();
  const form = formShape();
  model.load(told);
  if (keep) {
    showNumbers();
    writeAddress();
    return;
  }
  stopPlaying();
  const same = told.passes.findIndex((one) => one.out === out);
  state.pass = Math.max(same, 0);
  state.step = Math.min(state.step, pass().equations.length - 1);
  state.over = null;
  const focused = document.activeElement?.id;
  if (form !== formShape()) buildControls();
  buildPasses();
  buildTensors();
  showDocument();
  if (focused) byId(focused)?.focus();
}

// What the form's controls depend on, besides their values.
function formShape() {
  const { layer, input, padding } = model.told.setting;
  return JSON.stringify([layer, input.length, typeof padding]);
}

// ---------------------------------------------------------------------- the address

// Soon, and once for many changes: browsers limit how often it may change.
function writeAddress() {
  clearTimeout(state.addressTimer);
  state.addressTimer = setTimeout(replaceAddress, 200);
}

function replaceAddress() {
  if (state.playing) return;
  const query = new URLSearchParams(data.served ? model.told.words : {});
  if (data.served && model.told.count_from !== 1) query.set("count_from", model.told.count_from);
  const last = model.told.passes.length > 1 || state.pass;
  if (last) query.set("pass", pass().out);
  query.set("cell", model.labels[current()]);
  if (state.show !== "numbers") query.set("show", state.show);
  query.set("language", state.language);
  if (state.theme !== "auto") query.set("theme", state.theme);
  if (state.typed) valuesQuery(query);
  const address = `${data.served ? "?" : "#"}${query}`;
  try {
    history.replaceState(null, "", address);
  } catch {
    // A page inside a notebook has no address of its own.
  }
}

function readAddress() {
  const query = new URLSearchParams(data.served ? location.search : location.hash.slice(1));
  const spoken = (navigator.languages ?? [])[0] ?? "en";
  state.language = data.texts[query.get("language")] ? query.get("language") : data.language ?? (spoken.startsWith("zh") ? "zh" : "en");
  state.show = query.get("show") === "letters" ? "letters" : "numbers";
  state.theme = ["light", "dark"].includes(query.get("theme")) ? query.get("theme") : "auto";
  document.documentElement.dataset.theme = state.theme;
  readValues(query);
  const index = model.told.passes.findIndex((one) => one.out === query.get("pass"));
  state.pass = Math.max(index, 0);
  const id = model.labels.indexOf(query.get("cell"));
  const step = id - model.tensors.get(pass().out).first;
  state.step = step >= 0 && step < pass().equations.length ? step : 0;
}

function readValues(query) {
  for (const tensor of model.given()) {
    const numbers = (query.get(tensor.name) ?? "").split(",").map(Number);
    const fits = query.has(tensor.name) && numbers.length === tensor.labels.length;
    if (!fits || numbers.some((one) => !(Math.abs(one) <= MOST))) continue;
    numbers.forEach((one, i) => { model.values[tensor.first + i] = one; });
    state.typed = true;
  }
  if (state.typed && !data.served) model.compute();
}

// ------------------------------------------------------------------------- events

function idOf(target) {
  const element = target.closest?.("[data-id]");
  return element ? Number(element.dataset.id) : null;
}

function pointAt(id) {
  if (id === state.over) return;
  state.over = id;
  showFocus();
}

// A cell that is computed becomes the step; its pass is shown.
function choose(id) {
  const equation = model.equations.get(id);
  if (!equation) return;
  stopPlaying();
  const index = model.told.passes.indexOf(equation.pass);
  goTo(index, id - model.tensors.get(equation.pass.out).first);
}

function lightTerm(node) {
  document.querySelectorAll(".lit").forEach((element) => element.classList.remove("lit"));
  if (!node) return;
  const equation = model.equations.get(state.over ?? current());
  const term = equation?.terms[Number(node.dataset.term)];
  document.querySelectorAll(`[data-term="${node.dataset.term}"]`).forEach((one) => one.classList.add("lit"));
  for (const id of term?.factors ?? []) (places.get(id) ?? []).forEach((one) => one.classList.add("lit"));
}

function onKey(event) {
  const target = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const cell = target.closest?.("[data-id]");
  if (cell && event.key.startsWith("Arrow")) { moveFocus(event, cell); return; }
  if (cell && cell.tagName === "TD" && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    choose(Number(cell.dataset.id));
    return;
  }
  if (target.getAttribute?.("role") === "tab" && event.key.startsWith("Arrow")) { moveTab(event, target); return; }
  if (target.matches?.("input, select, textarea")) return;
  const act = KEYS[event.key.toLowerCase()] ?? (/^[1-9]$/.test(event.key) ? () => model.told.passes[event.key - 1] && goTo(event.key - 1, 0) : null);
  if (!act) return;
  event.preventDefault();
  act();
}

const KEYS = {
  p: () => toggle(1),
  n: () => { stopPlaying(); move(1); },
  b: () => { stopPlaying(); move(-1); },
  l: () => { state.language = state.language === "en" ? "zh" : "en"; showAll(); },
  c: () => { setTheme({ auto: "light", light: "dark", dark: "auto" }[state.theme]); writeAddress(); },
};

function moveTab(event, tab) {
  const tabs = [...tab.parentElement.querySelectorAll('[role="tab"]')];
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const index = (tabs.indexOf(tab) + by + tabs.length) % tabs.length;
  const holder = tab.parentElement;
  event.preventDefault();
  tabs[index].click();
  holder.querySelectorAll('[role="tab"]')[index].focus();
}

function listen() {
  const main = document.querySelector("main");
  main.addEventListener("pointerover", (event) => {
    const term = event.target.closest?.(".term");
    lightTerm(term);
    if (!term) pointAt(idOf(event.target));
  });
  main.addEventListener("pointerleave", () => { lightTerm(null); pointAt(null); });
  main.addEventListener("focusin", (event) => { const id = idOf(event.target); if (id !== null) pointAt(id); });
  main.addEventListener("focusout", (event) => { if (idOf(event.target) !== null) pointAt(null); });
  main.addEventListener("click", (event) => { const id = idOf(event.target); if (id !== null) choose(id); });
  byId("tensors").addEventListener("input", (event) => { if (event.target.matches("input")) typed(event.target); });
  byId("tensors").addEventListener("focusout", (event) => { if (event.target.matches("input")) writeNumbers(); });
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("controls").addEventListener("change", (event) => {
    const field = event.target.closest("[data-name]");
    if (field) ask(formQuery(field.dataset.name));
  });
  byId("controls").addEventListener("click", (event) => { if (event.target.id === "random") randomise(); });
  byId("copy").addEventListener("click", copyProgram);
  document.addEventListener("keydown", onKey);
  addEventListener("resize", () => { state.width = byId("formula").clientWidth; showFocus(); });
  addEventListener("hashchange", () => { if (!data.served) { readAddress(); showAll(); } });
}

model.load(data.document);
readAddress();
listen();
showAll();
