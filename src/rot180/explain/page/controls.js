// The parameters: a control for each form that a parameter can have.

const parameters = new Map(data.parameters.map((known) => [known.name, known]));

function buildControls() {
  const form = byId("controls");
  if (!data.served) {
    const command = make("code", {}, model.told.command);
    const more = make("code", {}, "rot180 explain --serve");
    form.replaceChildren(
      make("p", {}, command),
      make("p", {}, `${say("saved")} `, more),
      randomButton(),
    );
    return;
  }
  form.replaceChildren(...fields(), randomButton());
}

function fields() {
  return [...data.parameters.filter(isOffered).map(control), dimensionsControl()];
}

// Makes fields anew that say something else than what is shown; the others stay, and
// with them what is typed into them just now.
function mendControls() {
  const there = [...document.querySelectorAll("#controls [data-name]")];
  const wanted = fields();
  if (there.map(nameOf).join() !== wanted.map(nameOf).join()) {
    buildControls();
    return;
  }
  wanted.forEach((field, i) => {
    if (saidBy(field) !== saidBy(there[i])) there[i].replaceWith(field);
  });
}

function nameOf(field) {
  return field.dataset.name;
}

function saidBy(field) {
  const inputs = [...field.querySelectorAll("input, select")];
  return JSON.stringify(inputs.map(({ value, checked }) => [value, checked]));
}

function isOffered(known) {
  return known.layers.includes(model.told.setting.layer) && known.choices.length !== 1;
}

function control(known) {
  const value = model.told.setting[known.name];
  const id = `set-${known.name}`;
  const title = say(`parameter.${known.name}`);
  const parts = CONTROLS[known.form](known, value, id, title);
  if (parts.length === 1) {
    const label = make("label", { htmlFor: id }, title);
    return make(
      "div",
      { className: "field", dataset: { name: known.name } },
      label,
      ...parts,
    );
  }
  const label = make("span", { className: "label", id: `${id}-label` }, title);
  return make(
    "div",
    {
      className: "field",
      dataset: { name: known.name },
      aria: { role: "group", labelledby: label.id },
    },
    label,
    ...parts,
  );
}

const CONTROLS = {
  choice: (known, value, id) => [
    dropDown(
      id,
      known.choices.map((one) => [one, sayChoice(one)]),
      value,
    ),
  ],
  flag: (known, value, id) => [make("input", { type: "checkbox", id, checked: value })],
  count: (known, value, id, title) => [spin(known, value, id, title)],
  ints: (known, value, id, title) => perDimension(known, value, id, title),
  extents: (known, value, id, title) =>
    known.name === "channels"
      ? channelsControl(known, value, id, title)
      : perDimension(known, value, id, title),
  padding: paddingControl,
  layers: (known, value, id) => [
    make("input", { type: "text", id, value: writtenLayers(value), size: 28 }),
  ],
};

// What pools or is pointwise gives as many channels as it takes.
const AS_MANY = ["max_pool", "avg_pool", "relu"];

function channelsControl(known, value, id, title) {
  if (AS_MANY.includes(model.told.setting.layer))
    return [spin(known, value[0], id, title)];
  const [from, to] = value.map((one, i) =>
    spin(known, one, `${id}-${i}`, `${title}, ${say(i ? "out" : "in")}`),
  );
  return [from, hint("→"), to];
}

// A sign between numbers, for the eye; their labels say it in words.
function hint(sign) {
  return make("span", { ariaHidden: "true" }, sign);
}

function spin(known, value, id, label) {
  return make("input", {
    type: "number",
    id,
    value,
    min: known.least,
    max: known.most,
    step: 1,
    required: true,
    aria: { label },
  });
}

function perDimension(known, value, id, title) {
  if (value.length === 1) return [spin(known, value[0], id, title)];
  const spins = value.map((one, i) =>
    spin(known, one, `${id}-${i}`, `${title}, ${say(i ? "columns" : "rows")}`),
  );
  return [spins[0], hint("×"), spins[1]];
}

// A word, or two numbers for each dimension.
function paddingControl(known, value, id, title) {
  const isWord = typeof value === "string";
  const words = [
    ["numbers", say("numbers")],
    ...data.paddings.map((one) => [one, one]),
  ];
  const picked = dropDown(`${id}-word`, words, isWord ? value : "numbers");
  picked.setAttribute("aria-label", title);
  if (isWord) return [picked, make("span", {})];
  const sides = value.flatMap((pair, dim) =>
    pair.map((side, end) => {
      const which = say(dim || value.length === 1 ? "columns" : "rows");
      const label = `${title}, ${say(end ? "behind" : "before", { side: which })}`;
      const sign = (dim || value.length === 1 ? "←→" : "↑↓")[end];
      const input = spin(known, side, `${id}-${dim}-${end}`, label);
      return make("span", { className: "pair" }, hint(sign), input);
    }),
  );
  return [picked, ...sides];
}

function writtenLayers(value) {
  return value
    .map(([kind, size]) => (size.length ? `${kind}:${size.join("x")}` : kind))
    .join(",");
}

function dimensionsControl() {
  const select = dropDown(
    "set-dimensions",
    [
      ["1", "1"],
      ["2", "2"],
    ],
    String(model.told.setting.input.length),
  );
  const label = make("label", { htmlFor: "set-dimensions" }, say("dimensions"));
  return make(
    "div",
    { className: "field", dataset: { name: "dimensions" } },
    label,
    select,
  );
}

function randomButton() {
  return make("button", { type: "button", id: "random" }, say("random"));
}

// What a control says, as the text that the server reads.
function written(field) {
  const known = parameters.get(field.dataset.name);
  const inputs = [...field.querySelectorAll("input, select")];
  if (known.form === "flag") return String(inputs[0].checked);
  if (known.form === "padding") return writtenPadding(inputs);
  const sign = known.form === "extents" ? "x" : ",";
  return inputs.map((input) => input.value).join(sign);
}

function writtenPadding([picked, ...sides]) {
  if (picked.value !== "numbers") return picked.value;
  if (!sides.length) return "0";
  const pairs = [];
  for (let i = 0; i < sides.length; i += 2)
    pairs.push(`${sides[i].value}:${sides[i + 1].value}`);
  return pairs.join(",");
}

// All parameters as they stand in the form.  A new layer starts from its defaults.
function formQuery(changed) {
  const query = new URLSearchParams();
  const fields = [...document.querySelectorAll("#controls [data-name]")];
  const layer = byId("set-layer").value;
  if (changed === "layer") return new URLSearchParams({ layer });
  const rank = Number(byId("set-dimensions").value);
  for (const field of fields) {
    if (field.dataset.name === "dimensions") continue;
    const known = parameters.get(field.dataset.name);
    if (
      changed === "dimensions" &&
      !["choice", "flag", "count"].includes(known.form) &&
      known.name !== "channels"
    )
      continue;
    query.set(known.name, written(field));
  }
  if (changed === "dimensions")
    query.set("input", Array(rank).fill(model.told.setting.input[0]).join("x"));
  return query;
}
