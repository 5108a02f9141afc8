// What slides over what: the base with its zeros, the slider as it lies, the result.

const stage = {
  key: null,

  // Draws the squares of a step; returns whether they are other ones than before.
  show(pass, equation) {
    const squares = this.squares(pass, equation);
    const key = JSON.stringify(squares.map((square) => [square.key, square.ids[0]]));
    if (key === this.key) return false;
    refill(byId("stage"), squares);
    this.key = key;
    return true;
  },

  // What lies still, what slides over it, what else is read, and what is computed.
  squares(pass, equation) {
    const { base, slider } = pass.slide ?? {};
    const read = (names) => names.flatMap((name) => squaresRead(name, equation));
    const grounds = read(base ? [base] : []);
    const sliders = read(slider ? [slider] : []);
    const others = read(pass.operands.filter((name) => ![base, slider].includes(name)));
    const [result] = squaresRead(pass.out, { terms: [{ factors: [equation.id] }] });
    return [
      ...grounds.map((square) => ground(pass, square)),
      ...sliders.map((square, i) => still(i ? "" : "⋆", lying(pass, square))),
      ...others.map((square) => still(slider ? "+" : "", square)),
      still(pass.slide ? "=" : "→", result),
    ];
  },

  // Lays the slider at the step: a frame around it, and at each tap what multiplies.
  lay(pass, equation) {
    const { tracks, slider } = pass.slide;
    const taps = this.taps(tracks, resultPlace(pass, equation));
    for (const table of document.querySelectorAll("#stage .ground")) {
      const cells = new Map(
        [...table.querySelectorAll(".place")].map((cell) => [cell.dataset.place, cell]),
      );
      for (const cell of cells.values()) {
        cell.classList.remove("under");
        delete cell.dataset.tag;
      }
      for (const { place, tap } of taps) {
        const cell = cells.get(place.join());
        cell.classList.add("under");
        const tag =
          slider && this.tag(equation, slider, cell, turnedPlace(tracks, tap));
        if (tag) cell.dataset.tag = tag;
      }
      moveFrame(
        table,
        cells.get(taps[0].place.join()),
        cells.get(taps.at(-1).place.join()),
      );
    }
  },

  // What multiplies a cell: the slider's number over it.  Over a zero it is the one that
  // would multiply it, if there is no doubt which.
  tag(equation, slider, cell, tap) {
    const term = equation.terms.find((one) =>
      one.factors.includes(Number(cell.dataset.id)),
    );
    const all = planes(model.tensors.get(slider));
    const id = term
      ? term.factors.find((one) => model.owners[one].name === slider)
      : all.length === 1
        ? idAt(all[0], tap)
        : undefined;
    if (id === undefined) return "";
    return `×${state.show === "letters" ? model.labels[id] : shown(model.values[id])}`;
  },

  // Where each tap lies, by its place in the lying slider.
  taps(tracks, result) {
    return rowsOf(tracks.map((track) => track.taps))
      .flat()
      .map((tap) => ({
        tap,
        place: tap.map(
          (t, dim) =>
            tracks[dim].first +
            tracks[dim].step * result[dim] +
            tracks[dim].tap_step * t,
        ),
      }));
  },
};

// What lies still, with what the slider may meet outside it, and the frame that slides.
function ground(pass, square) {
  const { tracks, outside } = pass.slide;
  const reads = tracks.map((track) => track.reads);
  const places = rowsOf(reads.map((row) => row.length)).flat();
  const { name } = square;
  const value = shown(fromJson(outside));
  return {
    key: JSON.stringify(["ground", name, reads, value, state.language]),
    ids: places.map((place) => {
      const read = place.map((i, dim) => reads[dim][i]);
      return read.includes(null) ? null : idAt(square, read);
    }),
    build() {
      const extents = reads.map((row) => row.length);
      const grid = gridOf({ name, extents }, (place) =>
        groundCell(reads, place, value),
      );
      grid.classList.add("ground");
      makeReachable(grid);
      const frame = make("div", { className: "frame", ariaHidden: "true" });
      const laid = make("div", { className: "laid" }, grid, frame);
      return make("figure", { className: "base" }, caption(square), laid);
    },
  };
}

function groundCell(reads, place, value) {
  const dataset = { place: place.join() };
  const aria = { role: "gridcell" };
  if (place.every((i, dim) => reads[dim][i] !== null)) {
    dataset.id = "";
    return make("td", { className: "place", tabIndex: -1, dataset, aria });
  }
  const inside = place.every((i, dim) => isBetween(reads[dim], i));
  aria.label = say(inside ? "gap" : "outside", { value });
  const className = `place outside ${inside ? "gap" : "padding"}`;
  return make("td", { className, dataset, aria }, value);
}

// The slider, rotated where it lies so.
function lying(pass, square) {
  const { turned, tracks } = pass.slide;
  const name = turned ? say(`lying.${turned}`, { name: square.name }) : square.name;
  const { extents } = square;
  const ids = rowsOf(extents)
    .flat()
    .map((place) => idAt(square, turnedPlace(tracks, place)));
  return { name, extents, ids };
}

// A square that is only looked at, with the sign before it, which stay together.
function still(sign, { name, extents, ids }) {
  return {
    key: JSON.stringify([sign, name, extents]),
    ids,
    build() {
      const grid = gridOf({ name, extents }, () => numberCell(false));
      makeReachable(grid);
      const before = make("span", { className: "sign", ariaHidden: "true" }, sign);
      const figure = make("figure", {}, caption({ name }), grid);
      return make("div", { className: "signed" }, before, figure);
    },
  };
}

// The squares of a tensor that an equation reads; the first if it reads none.
function squaresRead(name, equation) {
  const all = planes(model.tensors.get(name));
  const read = new Set(reads(equation));
  const used = all.filter((square) => square.ids.some((id) => read.has(id)));
  return used.length ? used : all.slice(0, 1);
}

function isBetween(row, i) {
  return (
    row.slice(0, i + 1).some((read) => read !== null) &&
    row.slice(i).some((read) => read !== null)
  );
}

function turnedPlace(tracks, place) {
  return place.map((i, dim) => (tracks[dim].reversed ? tracks[dim].taps - 1 - i : i));
}

function resultPlace(pass, equation) {
  const tensor = model.tensors.get(pass.out);
  const at = position(equation.id - tensor.first, tensor.shape);
  return at.filter((_, i) => isSpatial(tensor.axes[i]));
}

// When it is laid out anyway, for measuring before would lay it out twice.
function moveFrame(table, from, to) {
  requestAnimationFrame(() => placeFrame(table, from, to));
}

function placeFrame(table, from, to) {
  const frame = table.nextElementSibling;
  frame.classList.toggle("still", !frame.style.width); // the first time it jumps
  const ground = table.getBoundingClientRect();
  const start = from.getBoundingClientRect();
  const end = to.getBoundingClientRect();
  frame.style.transform = `translate(${start.left - ground.left}px, ${start.top - ground.top}px)`;
  frame.style.width = `${end.right - start.left}px`;
  frame.style.height = `${end.bottom - start.top}px`;
}
