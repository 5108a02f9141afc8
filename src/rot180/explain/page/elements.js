// Elements of the page, and its words.

const byId = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const { dataset, aria, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  Object.assign(element.dataset, dataset);
  for (const [name, value] of Object.entries(aria ?? {})) {
    element.setAttribute(name === "role" ? name : `aria-${name}`, value);
  }
  element.append(...children);
  return element;
}

function button(id, text, label, act) {
  const made = make(
    "button",
    { type: "button", id, title: label, aria: { label } },
    text,
  );
  made.addEventListener("click", act);
  return made;
}

// Fills a box with squares.  One that is there under the same key stays and gets other
// numbers, so that little is laid out anew.
function refill(box, squares) {
  squares.forEach(({ key, ids, build }, i) => {
    const there = box.children[i];
    const stays = there?.dataset.key === key;
    const square = stays ? there : build();
    square.dataset.key = key;
    const shown = ids.filter((id) => id !== null);
    square.querySelectorAll("[data-id]").forEach((cell, k) => {
      cell.dataset.id = shown[k];
    });
    if (!there) box.append(square);
    else if (!stays) there.replaceWith(square);
  });
  while (box.children.length > squares.length) box.lastChild.remove();
}

// Options are pairs of a value and what is shown for it.
function dropDown(id, options, value) {
  const made = options.map(([name, text]) =>
    make("option", { value: name, selected: name === value }, text),
  );
  return make("select", { id }, ...made);
}

function say(key, filled = {}) {
  const text = data.texts[state.language][key];
  if (text === undefined) return key.startsWith("parameter.") ? key.slice(10) : key;
  return text.replace(/\{(\w+)\}/g, (_, name) => filled[name]);
}

function sayChoice(choice) {
  const key = `choice.${choice}`;
  return data.texts[state.language][key] ?? choice;
}

// What is wrong: with the parameters, or with a number that is typed.
function complain(message) {
  byId("problem").textContent = message;
}

function complainOfNumber(message) {
  byId("typing").textContent = message;
}
