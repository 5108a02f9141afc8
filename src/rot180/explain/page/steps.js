// The steps of a pass: on and back, and playing them.

const SPEEDS = [
  ["1600", "½×"],
  ["800", "1×"],
  ["300", "3×"],
];

function buildTimeline() {
  const go = (key, sign, act) => button(`go-${key}`, sign, say(key), act);
  const last = () => pass().equations.length - 1;
  const slider = make("input", {
    type: "range",
    id: "step",
    min: 0,
    step: 1,
    aria: { label: say("timeline") },
  });
  slider.addEventListener("input", () => stopAt(Number(slider.value)));
  const speed = dropDown("speed", SPEEDS, String(state.speed));
  speed.setAttribute("aria-label", say("speed"));
  speed.addEventListener("change", () => {
    state.speed = Number(speed.value);
    if (state.playing) play(state.playing);
  });
  byId("timeline").replaceChildren(
    go("first", "|◀", () => stopAt(0)),
    go("reverse", "◀", () => toggle(-1)),
    go("back", "−1", () => step(-1)),
    go("next", "+1", () => step(1)),
    go("play", "▶", () => toggle(1)),
    go("last", "▶|", () => stopAt(last())),
    slider,
    make("span", { id: "step-text" }),
    speed,
  );
}

function goTo(index, number) {
  const isNew = index !== state.pass;
  if (isNew) stopPlaying();
  state.over = null;
  state.pass = index;
  state.step = number;
  if (isNew) showPass();
  else showStep();
}

function stopAt(number) {
  stopPlaying();
  goTo(state.pass, number);
}

function step(by) {
  stopPlaying();
  move(by);
}

// A step on or back; returns whether there was one.
function move(by) {
  const next = state.step + by;
  if (next < 0 || next >= pass().equations.length) return false;
  goTo(state.pass, next);
  return true;
}

function toggle(direction) {
  if (state.playing === direction) stopPlaying();
  else play(direction);
}

function play(direction) {
  clearInterval(state.timer);
  state.playing = direction;
  if (!move(direction))
    goTo(state.pass, direction > 0 ? 0 : pass().equations.length - 1);
  state.timer = setInterval(() => {
    if (!move(direction)) stopPlaying();
  }, state.speed);
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
  for (const [key, direction, sign] of [
    ["play", 1, "▶"],
    ["reverse", -1, "◀"],
  ]) {
    const isOn = state.playing === direction;
    const label = say(isOn ? "pause" : key);
    const made = byId(`go-${key}`);
    made.textContent = isOn ? "❚❚" : sign;
    made.setAttribute("aria-label", label);
    made.title = label;
  }
}
