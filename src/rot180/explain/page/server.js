// What is asked of the server, where there is one.

// Asks for an explanation.  With `keep`, of the same parameters with these numbers;
// else numbers that fit the new parameters stay as they are.
async function ask(words, more = {}, { keep = false } = {}) {
  const query = servedQuery(words);
  for (const [name, value] of Object.entries(more)) query.set(name, value);
  if (state.typed) setNumbers(query);
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
  if (answer.ok) {
    complain("");
    take(told, keep);
  } else {
    complain(`${told.error}\n${say("still", { command: command() })}`);
  }
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
  state.typed = told.typed.length > 0;
  state.pass = Math.max(
    0,
    told.passes.findIndex((one) => one.out === out),
  );
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
