// What slides over what: the base with its zeros, the slider as it lies, the result.

const stage = {
  key: null,

  // Draws the squares of a step; returns whether they are other ones than before.
  show(pass, equation) {
    const read = pass.operands.map((name) => [name, squaresRead(name, equation)]);
    const [result] = squaresRead(pass.out, { terms: [{ factors: [equation.id] }] });
    const drawn = [...read.flatMap(([, squares]) => squares), result].map(
      (square) => square.name,
    );
    const key = JSON.stringify([model.told.command, pass.out, drawn, state.language]);
    if (key === this.key) return false;
    byId("stage").replaceChildren(...this.built(pass, new Map(read), result));
    this.key = key;
    return true;
  },

  // What lies still, what slides over it, what else is read, and what is computed.
  built(pass, read, result) {
    const { base, slider } = pass.slide ?? {};
    const others = [...read.keys()].filter((name) => name !== base && name !== slider);
    return [
      ...(read.get(base) ?? []).map((square) => this.ground(pass, square)),
      ...(read.get(slider) ?? []).map((square, i) =>
        signed(i ? "" : "⋆", this.lying(pass, square)),
      ),
      ...others.flatMap((name) =>
        read.get(name).map((square) => signed(slider ? "+" : "", plainTable(square))),
      ),
      signed(pass.slide ? "=" : "→", plainTable(result)),
    ];
  },

  ground(pass, square) {
    const { tracks, outside } = pass.slide;
    const rows = rowsOf(tracks.map((track) => track.reads.length)).map((row) =>
      make(
        "tr",
        { aria: { role: "row" } },
        ...row.map((place) =>
          this.groundCell(tracks, square, place, shown(fromJson(outside))),
        ),
      ),
    );
    const { name } = square;
    const table = make(
      "table",
      { className: "square ground", aria: { role: "grid", label: name } },
      ...rows,
    );
    const frame = make("div", { className: "frame", ariaHidden: "true" });
    return make(
      "figure",
      { className: "base" },
      make("figcaption", {}, name),
      make("div", { className: "laid" }, table, frame),
    );
  },

  groundCell(tracks, square, place, outside) {
    const read = place.map((i, dim) => tracks[dim].reads[i]);
    const isZero = read.includes(null);
    const number = make("span", { className: "number" });
    const tag = make("span", { className: "tag", ariaHidden: "true" });
    const cell = make(
      "td",
      {
        className: "place",
        dataset: { place: place.join() },
        aria: { role: "gridcell" },
      },
      number,
      tag,
    );
    if (isZero) {
      const inside = place.every((i, dim) => isBetween(tracks[dim].reads, i));
      cell.classList.add("outside", inside ? "gap" : "padding");
      number.textContent = outside;
      cell.setAttribute(
        "aria-label",
        say(inside ? "gap" : "outside", { value: outside }),
      );
    } else {
      cell.dataset.id = square.cells.get(read.join());
      cell.tabIndex = -1;
    }
    return cell;
  },

  // The slider, rotated where it lies so.
  lying(pass, square) {
    const { turned, tracks } = pass.slide;
    const name = turned ? say(`lying.${turned}`, { name: square.name }) : square.name;
    return plainTable(square, name, (place) => turnedPlace(tracks, place));
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
        cell.lastChild.textContent = "";
      }
      for (const { place, tap } of taps) {
        const cell = cells.get(place.join());
        cell.classList.add("under");
        if (slider)
          cell.lastChild.textContent = this.tag(
            equation,
            slider,
            cell,
            turnedPlace(tracks, tap),
          );
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
        ? all[0].cells.get(tap.join())
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

// A square with the sign before it, which stay together.
function signed(sign, square) {
  return make(
    "div",
    { className: "signed" },
    make("span", { className: "sign", ariaHidden: "true" }, sign),
    square,
  );
}

// The squares of a tensor that an equation reads; the first if it reads none.
function squaresRead(name, equation) {
  const all = planes(model.tensors.get(name));
  const read = new Set(reads(equation));
  const used = all.filter((square) =>
    [...square.cells.values()].some((id) => read.has(id)),
  );
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
  return at.filter((_, i) => "hwrs".includes(tensor.axes[i]));
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
