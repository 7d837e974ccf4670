"use strict";
// Sliders for the arguments of a kernel; what the kernel gives, as numbers, bars and a point.
(() => {
  const data = JSON.parse(document.getElementById("live-data").textContent);
  const root = document.getElementById("live");
  const place = (name) => root.querySelector(`[data-part="${name}"]`);
  const sizes = { ...data.sizes };
  const raw = new Map(data.arguments.map((one) => [one.name, one.start.map(Number)]));
  const moved = new Map();
  const SVG = "http://www.w3.org/2000/svg";
  let speak;

  function element(tag, attributes = {}, ...inside) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...inside);
    return made;
  }

  function drawn(tag, attributes) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  /** A number as one reads it: five digits, a true minus sign. */
  function shown(x) {
    if (Number.isNaN(x)) return "not a number";
    if (Math.abs(x) === Infinity) return x > 0 ? "∞" : "−∞";
    const size = Math.abs(x);
    const text = size !== 0 && (size < 1e-4 || size >= 1e6) ? x.toExponential(3) : x.toFixed(4);
    return text.replace(/-/g, "−").replace(/^−(0\.0+)$/, "$1");
  }

  const count = (axes) => axes.reduce((product, axis) => product * sizes[axis], 1);

  /** The entries of a name, each written as in a loss file: W[1, 2], counted from 0. */
  function labels(name, axes) {
    let texts = [""];
    for (const axis of axes)
      texts = texts.flatMap((text) =>
        Array.from({ length: sizes[axis] }, (_, k) => (text ? `${text}, ${k}` : `${k}`)),
      );
    return texts.map((text) => (text ? `${name}[${text}]` : name));
  }

  /** The values of an argument: as the controls have them, a distribution made to sum to 1. */
  function values(one) {
    const own = numbers(one);
    if (one.kind !== "simplex") return own;
    const along = sizes[one.axes[one.axes.length - 1]];
    return own.map((x, at) => {
      const first = at - (at % along);
      const sum = own.slice(first, first + along).reduce((all, y) => all + y, 0);
      return sum > 0 ? x / sum : 1 / along;
    });
  }

  function numbers(one) {
    const kept = moved.get(one.name) ?? new Map();
    const start = raw.get(one.name);
    return Array.from({ length: count(one.axes) }, (_, at) => {
      const value = kept.get(at) ?? start[at % start.length];
      return one.kind === "label" ? Math.min(value, sizes[one.of] - 1) : value;
    });
  }

  function keep(name, at, value) {
    if (!moved.has(name)) moved.set(name, new Map());
    moved.get(name).set(at, value);
  }

  function control(one, at, label, value) {
    const id = `control-${data.arguments.indexOf(one)}-${at}`;
    const named = element("label", { for: id }, label);
    const output = element("span", { class: "value", "aria-hidden": "true" });
    if (one.kind === "label" || one.kind === "choice") {
      const options =
        one.kind === "choice" ? one.choices : Array.from({ length: sizes[one.of] }, (_, k) => `${k}`);
      const select = element("select", { id });
      for (const text of options)
        select.append(element("option", { value: text }, text.replace("-", "−")));
      select.value = String(value);
      select.addEventListener("change", () => change(one, at, Number(select.value)));
      return element("div", { class: "control" }, named, select);
    }
    const { low, high, step } = one;
    const slider = element("input", { id, type: "range", min: low, max: high, step });
    slider.value = String(value);
    keep(one.name, at, Number(slider.value));
    slider.addEventListener("input", () => change(one, at, Number(slider.value)));
    return element("div", { class: "control" }, named, slider, output);
  }

  function change(one, at, value) {
    keep(one.name, at, value);
    update();
  }

  const ROLES = { input: "input", param: "parameter", target: "target", const: "constant" };

  function controls() {
    const held = place("controls");
    held.replaceChildren();
    for (const one of data.arguments) {
      const group = element("fieldset", { "data-name": one.name });
      const kind = one.kind === "label" ? `${ROLES[one.role]}, a class` : ROLES[one.role];
      const note = one.kind === "simplex" ? `${kind}, shares of 1` : kind;
      group.append(element("legend", {}, element("b", {}, one.name), ` ${note}`));
      const names = labels(one.name, one.axes);
      numbers(one).forEach((value, at) => group.append(control(one, at, names[at], value)));
      held.append(group);
    }
  }

  function axes() {
    const held = place("sizes");
    Object.keys(sizes).forEach((axis, number) => {
      const id = `size-${number}`;
      const select = element("select", { id });
      for (const size of [2, 3, 4, 5]) select.append(element("option", {}, `${size}`));
      select.value = `${sizes[axis]}`;
      select.addEventListener("change", () => {
        sizes[axis] = Number(select.value);
        controls();
        update();
      });
      held.append(element("div", { class: "control" }, element("label", { for: id }, `size of ${axis}`), select));
    });
  }

  /** Call one of the modules: its results by our names. */
  function call(run, how, given) {
    const packed = {};
    for (const { key, axis } of how.axes) packed[key] = axis ? sizes[axis] : 1;
    for (const { name, key, array } of how.arguments) {
      const value = given.get(name);
      const whole = data.arguments.some((one) => one.name === name && one.kind === "label");
      packed[key] = array ? (whole ? Int32Array : Float64Array).from(value) : value[0];
    }
    const { loss, gradients } = run(packed);
    const named = how.gradients.map(({ name, key }) => [name, Array.from(gradients[key])]);
    return { loss: typeof loss === "number" ? loss : loss[0], results: named };
  }

  function bar(value, most) {
    const reach = Number.isFinite(value) && most > 0 ? Math.max(-1, Math.min(1, value / most)) : 0;
    const svg = drawn("svg", { viewBox: "-50 0 100 12", class: "bar", "aria-hidden": "true", preserveAspectRatio: "none" });
    const width = Math.abs(reach) * 48;
    const kind = reach < 0 ? "down" : "up";
    svg.append(drawn("rect", { class: kind, x: Math.min(0, reach * 48), y: 1, width, height: 10 }));
    svg.append(drawn("line", { x1: 0, x2: 0, y1: 0, y2: 12, class: "zero" }));
    return svg;
  }

  function rows(part, groups, texts, signed) {
    const body = place(part);
    const all = groups.flatMap(([, numbers]) => numbers.map(Math.abs)).filter(Number.isFinite);
    const most = Math.max(...all, 0);
    body.replaceChildren();
    for (const [name, found] of groups) {
      found.forEach((value, at) => {
        const label = element("th", { scope: "row" }, texts(name)[at]);
        const number = element("td", { class: "value", "data-value": String(value) }, shown(value));
        const row = element("tr", { "data-name": name }, label, number);
        row.append(element("td", { class: "bars" }, ...(signed ? [bar(value, most)] : [])));
        body.append(row);
      });
    }
  }

  const corners = [[0, 100], [120, 100], [60, -4]];
  const inside = (shares) => [0, 1].map((k) => shares.reduce((sum, x, c) => sum + x * corners[c][k], 0));

  /** Where a distribution of three classes lies, and the target: a ring. */
  function simplex(found, given) {
    const held = place("simplex");
    const shares = given.get(data.simplex) ?? found.get(data.simplex);
    const fits = shares?.length === 3 && shares.every((x) => x >= 0);
    held.hidden = !fits;
    if (!fits) return;
    const svg = held.querySelector("svg");
    svg.replaceChildren(drawn("polygon", { points: corners.map(String).join(" "), class: "edge" }));
    const away = [[-9, 8], [9, 8], [0, -6]];
    corners.forEach(([x, y], c) => {
      const text = drawn("text", { x: x + away[c][0], y: y + away[c][1], "text-anchor": "middle" });
      text.textContent = `${c}`;
      svg.append(text);
    });
    for (const one of data.arguments.filter((each) => each.role === "target")) {
      const value = given.get(one.name);
      const hot = one.kind === "label" && value.length === 1 ? [0, 1, 2].map((c) => +(c === value[0])) : value;
      if ((one.kind !== "simplex" && one.kind !== "label") || hot.length !== 3) continue;
      const [cx, cy] = inside(hot);
      svg.append(drawn("circle", { cx, cy, r: 5, class: "ring" }));
    }
    const [cx, cy] = inside(shares);
    svg.append(drawn("circle", { cx, cy, r: 3.2, class: "point" }));
    const where = shares.map((x, c) => `class ${c}: ${shown(x)}`).join(", ");
    svg.setAttribute("aria-label", `${data.simplex} among three classes. ${where}`);
  }

  function sliders(given) {
    for (const one of data.arguments) {
      const group = [...place("controls").children].find((each) => each.dataset.name === one.name);
      given.get(one.name).forEach((value, at) => {
        const row = group.querySelectorAll(".control")[at];
        const output = row.querySelector(".value");
        if (!output) return;
        const text = String(+value.toFixed(4)).replace("-", "−");
        output.textContent = text;
        output.dataset.value = String(value);
        row.querySelector("input").setAttribute("aria-valuetext", text);
      });
    }
  }

  function update() {
    const given = new Map(data.arguments.map((one) => [one.name, values(one)]));
    sliders(given);
    const kernels = globalThis.pminusy;
    const { loss, results } = call(kernels.loss, data.loss, given);
    const axesOf = new Map(data.arguments.map((one) => [one.name, one.axes]));
    const number = place("loss");
    number.textContent = shown(loss);
    number.dataset.value = String(loss);
    rows("gradients", results, (name) => labels(name, axesOf.get(name)).map((e) => `∂${data.loss.name}/∂${e}`), true);
    const found = new Map();
    if (data.definitions) {
      const weighted = new Map(given);
      for (const name of data.definitions.weights) weighted.set(name, Array(count(data.weights[name])).fill(1));
      for (const [name, value] of call(kernels.definitions, data.definitions, weighted).results) found.set(name, value);
      rows("definitions", [...found], (name) => labels(name, data.shapes[name]), false);
    }
    simplex(found, given);
    // Said once the sliders rest: a number for each move would drown the page.
    clearTimeout(speak);
    speak = setTimeout(() => {
      const slopes = results.map(([name, value]) => `${name}: ${value.map(shown).join(", ")}`);
      place("said").textContent = `${data.loss.name} is ${shown(loss)}. Gradient by ${slopes.join("; ")}.`;
    }, 400);
  }

  place("reset").addEventListener("click", () => {
    moved.clear();
    controls();
    update();
  });
  axes();
  controls();
  update();
  root.hidden = false;
})();
