// What people do: point, type, press keys.

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

const KEYS = {
  p: () => toggle(1),
  n: () => step(1),
  b: () => step(-1),
  l: () => setLanguage(state.language === "en" ? "zh" : "en"),
  c: () => setTheme({ auto: "light", light: "dark", dark: "auto" }[state.theme]),
};

function onKey(event) {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const cell = target.closest?.("[data-id]");
  if (cell && key.startsWith("Arrow")) {
    moveFocus(event, cell);
  } else if (cell?.tagName === "TD" && (key === "Enter" || key === " ")) {
    event.preventDefault();
    choose(Number(cell.dataset.id));
  } else if (target.getAttribute?.("role") === "tab" && key.startsWith("Arrow")) {
    moveTab(event, target);
  } else if (state.shortcuts && !takesText(target)) {
    const act = Object.hasOwn(KEYS, key.toLowerCase())
      ? KEYS[key.toLowerCase()]
      : chooser(key);
    if (!act) return;
    event.preventDefault();
    act();
  }
}

function takesText(target) {
  return target.matches?.("select, input:not([type=range], [type=checkbox])");
}

function chooser(key) {
  if (!/^\d$/.test(key)) return null;
  const index = (Number(key) + 9) % 10; // 0 stands behind 9
  return model.told.passes[index] ? () => goTo(index, 0) : null;
}

function moveTab(event, tab) {
  const holder = tab.parentElement;
  const tabs = [...holder.querySelectorAll('[role="tab"]')];
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const index = (tabs.indexOf(tab) + by + tabs.length) % tabs.length;
  event.preventDefault();
  tabs[index].click();
  holder.querySelectorAll('[role="tab"]')[index].focus();
}

function listen() {
  const main = document.querySelector("main");
  main.addEventListener("pointerover", ({ target }) => {
    const term = target.closest?.(".term");
    if (term) pointAtTerm(term);
    else if (idOf(target) === state.over) showFocus();
    else pointAt(idOf(target));
  });
  main.addEventListener("pointerleave", () => pointAt(null));
  main.addEventListener("focusin", ({ target }) => {
    if (idOf(target) !== null) pointAt(idOf(target));
  });
  main.addEventListener("focusout", ({ target }) => {
    if (idOf(target) !== null) pointAt(null);
  });
  main.addEventListener("click", ({ target }) => {
    if (idOf(target) !== null) choose(idOf(target));
  });
  byId("tensors").addEventListener("input", ({ target }) => {
    if (target.matches("input")) typed(target);
  });
  byId("tensors").addEventListener("focusin", ({ target }) => {
    if (target.matches("input")) enter(target);
  });
  byId("tensors").addEventListener("focusout", ({ target }) => {
    if (target.matches("input")) leave(target);
  });
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("controls").addEventListener("change", ({ target }) => {
    const field = target.closest("[data-name]");
    if (field) ask(formQuery(field.dataset.name));
  });
  byId("controls").addEventListener("click", ({ target }) => {
    if (target.id === "random") randomise();
  });
  byId("copy").addEventListener("click", copyProgram);
  byId("shortcuts").addEventListener("change", ({ target }) => {
    state.shortcuts = target.checked;
  });
  document.addEventListener("keydown", onKey);
  addEventListener("resize", () => {
    state.width = byId("formula").clientWidth;
    showFocus();
  });
  addEventListener("hashchange", () => {
    if (!data.served) start();
  });
}

function start() {
  model.load(data.document);
  state.unknown = null;
  readAddress();
  showAll();
  complain(state.unknown ? say("unknown", state.unknown) : "");
}

listen();
start();
