// What the page shows: a pass, a step of it, and the number that is pointed at.

const state = {
  pass: 0,
  step: 0,
  over: null,
  playing: 0,
  timer: null,
  speed: 800,
  show: "numbers",
  language: "en",
  theme: "auto",
  framework: "pytorch",
  typed: false,
  shortcuts: true,
  asked: 0,
  wanted: null,
  pending: new Map(),
  addressTimer: null,
  width: 900,
  unknown: null,
};

const pass = () => model.told.passes[state.pass];
const current = () => model.tensors.get(pass().out).first + state.step;

function showAll() {
  const focused = document.activeElement?.id;
  stopPlaying();
  document.documentElement.lang = state.language === "zh" ? "zh-Hans" : "en";
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = say(element.dataset.text);
  }
  buildView();
  buildControls();
  buildPasses();
  buildTensors();
  buildTimeline();
  buildFrameworks();
  showDocument();
  if (focused) byId(focused)?.focus();
}

function showDocument() {
  stage.key = null;
  showPass();
  showProgram();
}

// The command line that explains the same; numbers that are typed have to be in a file.
function command() {
  const { command: told } = model.told;
  if (told.includes("--values")) return told;
  if (state.show === "letters") return `${told} --values letters`;
  return state.typed ? `${told} --values FILE` : told;
}

function buildView() {
  const languages = [
    ["en", "English"],
    ["zh", "简体中文"],
  ];
  const themes = ["auto", "light", "dark"].map((name) => [name, say(`theme.${name}`)]);
  const shows = ["numbers", "letters"].map((name) => [name, say(`show.${name}`)]);
  const counts = [
    ["1", "1"],
    ["0", "0"],
  ];
  const from = String(model.told.count_from);
  byId("view").replaceChildren(
    labelled("language", languages, state.language, setLanguage),
    labelled("theme", themes, state.theme, setTheme),
    labelled("show", shows, state.show, setShow),
    ...(data.served ? [labelled("count", counts, from, setCount)] : []),
  );
}

function labelled(key, options, value, change) {
  const select = dropDown(`view-${key}`, options, value);
  select.addEventListener("change", () => change(select.value));
  return make("label", {}, `${say(key)} `, select);
}

function setLanguage(language) {
  state.language = language;
  showAll();
}

function setTheme(theme) {
  state.theme = theme;
  document.documentElement.dataset.theme = theme;
  byId("view-theme").value = theme;
  writeAddress();
}

function setShow(show) {
  state.show = show;
  showNumbers();
  writeAddress();
}

function setCount(from) {
  ask(model.told.words, { count_from: from });
}

function buildPasses() {
  byId("passes").setAttribute("aria-label", say("passes"));
  byId("passes").replaceChildren(
    ...model.told.passes.map((one, i) => {
      const text = one.title[state.language];
      const tab = button(`pass-${one.out}`, text, text, () => goTo(i, 0));
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", "panel");
      return tab;
    }),
  );
}

function buildTensors() {
  refill(byId("tensors"), model.told.tensors.map(tensorSquares));
  showHint();
}

function showHint() {
  const given = model
    .given()
    .map((tensor) => tensor.name)
    .join(", ");
  const hint = state.show === "letters" ? "tensors.letters" : "tensors.hint";
  byId("tensors-hint").textContent = say(hint, { given });
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
    ...sentences[state.language].map(paragraph),
    paragraph(say("formula")),
    ...formulas.map(code),
    ...(gathered.length ? [paragraph(say("gathered")), ...gathered.map(code)] : []),
  );
  byId("step").max = pass().equations.length - 1;
  showLegend();
  showStep();
}

function showStep() {
  const said = say("step", { n: state.step + 1, of: pass().equations.length });
  byId("step").value = state.step;
  byId("step").setAttribute("aria-valuetext", `${said}: ${model.labels[current()]}`);
  byId("step-text").textContent = said;
  showFocus();
  writeAddress();
}

// What is pointed at, or else the step: on the stage, in the squares, as an equation.  A
// number that is given has no equation: where it stands in that of the step it is lit.
function showFocus() {
  const focus = state.over ?? current();
  const step = model.equations.get(current());
  const equation = model.equations.get(focus) ?? step;
  const laid = equation.pass === pass() ? equation : step;
  if (stage.show(pass(), laid)) {
    collectPlaces();
    writeNumbers();
  }
  if (pass().slide) stage.lay(pass(), laid);
  paint(focus);
  showEquation(equation);
  lightTerms((term) => equation.id !== focus && readsOf(term).includes(focus));
  showFeeds(focus);
}

function showNumbers() {
  showHint();
  writeNumbers();
  showFocus();
  showProgram();
}

function showEquation(equation) {
  fitEquation(byId("formula"), equation);
  const choice = equation.terms.find(isOfMaximum)?.choice;
  const took = choice && {
    of: model.labels[choice.of],
    cell: model.labels[choice.cell],
  };
  const nothing = equation.terms.length ? "" : say("nothing");
  byId("note").textContent = took ? say("took", took) : nothing;
}

function isOfMaximum({ choice }) {
  return choice && model.equations.get(choice.of).floor === null;
}

function showFeeds(id) {
  const list = model.feeds[id].map((other) => model.labels[other]);
  const some = list.length > 16 ? [...list.slice(0, 16), "…"] : list;
  const said = { label: model.labels[id], list: some.join(", ") };
  byId("feeds").textContent = list.length ? say("feeds", said) : "";
}

// As many terms in a line as there is room for: an estimate, mended when it is laid out.
function fitEquation(box, equation) {
  const letters = equation.terms.map((term) =>
    term.factors.reduce(
      (n, id) => n + model.labels[id].length + 2,
      term.choice ? 14 : 0,
    ),
  );
  const widest = letters.reduce((one, other) => Math.max(one, other), 1) * 11;
  fitLines(box, equation, Math.max(1, Math.floor((state.width - 90) / widest)));
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
  const roles = [
    ["first", operands[0]],
    ["second", operands[1]],
    ["result", out],
  ];
  const parts = roles.filter(([, name]) => name);
  byId("legend").replaceChildren(
    ...parts.map(([role, name]) => make("span", { className: `key ${role}` }, name)),
    make("span", { className: "key fed" }, say("legend.fed")),
  );
}

// Lights the terms of the equation for which it holds; returns their numbers.
function lightTerms(holds) {
  for (const one of document.querySelectorAll(".lit")) one.classList.remove("lit");
  const focus = state.over ?? current();
  const equation = model.equations.get(focus) ?? model.equations.get(current());
  equation.terms.forEach((term, i) => {
    if (!holds(term, i)) return;
    for (const node of document.querySelectorAll(`[data-term="${i}"]`)) {
      node.classList.add("lit");
    }
  });
  return equation.terms.filter(holds).flatMap(readsOf);
}

// A term that is pointed at: it is lit, and so are its numbers.
function pointAtTerm(node) {
  const wanted = Number(node.dataset.term);
  for (const id of lightTerms((_, i) => i === wanted)) {
    for (const element of places.get(id) ?? []) element.classList.add("lit");
  }
}

// ----------------------------------------------------------------------- the code

function buildFrameworks() {
  byId("frameworks").replaceChildren(
    ...Object.entries(data.frameworks).map(([key, name]) => {
      const tab = button(`code-${key}`, name, name, () => {
        state.framework = key;
        buildFrameworks();
        showProgram();
      });
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", "program");
      tab.setAttribute("aria-selected", String(key === state.framework));
      tab.tabIndex = key === state.framework ? 0 : -1;
      return tab;
    }),
  );
}

function showProgram() {
  let text = model.told.code[state.framework];
  for (const tensor of model.given()) {
    text = text.replace(`⟦${tensor.name}⟧`, `[${model.numbers(tensor).join(", ")}]`);
  }
  byId("program").textContent = text;
  const line = command();
  byId("command").textContent = line;
  byId("file").hidden = !line.endsWith("FILE");
}

async function copyProgram() {
  let done = true;
  try {
    await navigator.clipboard.writeText(byId("program").textContent);
  } catch {
    getSelection().selectAllChildren(byId("program"));
    done = document.execCommand("copy");
  }
  byId("copied").textContent = say(done ? "copied" : "copy.failed");
  setTimeout(() => {
    byId("copied").textContent = "";
  }, 2000);
}
