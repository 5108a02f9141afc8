// What is asked of the server, where there is one.

// Asks for an explanation.  With `keep`, of the same parameters with these numbers;
// else numbers that fit the new parameters stay as they are.
async function ask(words, more = {}, { keep = false } = {}) {
  const query = servedQuery(words);
  for (const [name, value] of Object.entries(more)) query.set(name, value);
  if (state.typed || state.pending.size) setNumbers(query, state.pending);
  if (!keep) query.set("fit", "true");
  state.wanted = keep ? null : { words, more };
  const asked = ++state.asked;
  let answer;
  let told;
  try {
    answer = await fetch(`api/explain?${query}`);
    told = await answer.json();
  } catch (error) {
    if (asked === state.asked) refuse(say("offline", { reason: error.message }));
    return;
  }
  if (asked !== state.asked) return;
  if (answer.ok) {
    complain("");
    take(told, keep);
  } else {
    refuse(`${told.error}\n${say("still", { command: command() })}`);
  }
}

// Asks with the numbers that are typed; other parameters that are asked for go along.
function renew() {
  if (state.wanted) ask(state.wanted.words, state.wanted.more);
  else ask(model.told.words, {}, { keep: true });
}

// Nothing is asked for any more.
function answered() {
  state.wanted = null;
  state.pending.clear();
}

// What is shown stays as it was, numbers that are typed too.
function refuse(message) {
  answered();
  complain(message);
  writeNumbers();
}

function take(told, keep) {
  const { out } = pass();
  model.load(told);
  answered();
  state.typed = told.typed.length > 0;
  const focused = document.activeElement?.id;
  mendControls();
  if (keep) {
    showNumbers();
    writeAddress();
    return;
  }
  stopPlaying();
  state.pass = Math.max(
    0,
    told.passes.findIndex((one) => one.out === out),
  );
  state.step = Math.min(state.step, pass().equations.length - 1);
  state.over = null;
  buildPasses();
  buildTensors();
  showDocument();
  if (focused) byId(focused)?.focus();
}
