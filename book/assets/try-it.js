// The page try-it: a visitor's ratings in, ten films out. The names are those of the page.
"use strict";

/* The model. */

// Solves A p = y, for a symmetric and positive definite A, by elimination.
function solve(A, y) {
  const rows = A.map((row, i) => [...row, y[i]]);
  rows.forEach((pivot, i) => {
    for (const row of rows) {
      if (row === pivot) continue;
      const share = row[i] / pivot[i];
      for (let j = i; j < row.length; j++) row[j] -= share * pivot[j];
    }
  });
  return rows.map((row, i) => row[y.length] / row[i]);
}

// Ridge regression: (XᵀX + weight I) p = Xᵀy. The last entry of p is the user's bias.
function foldIn(X, y, weight) {
  const columns = range(X[0].length).map(j => X.map(row => row[j]));
  const A = columns.map((a, i) => columns.map((b, j) => dot(a, b) + (i === j ? weight : 0)));
  return solve(A, columns.map(column => dot(column, y)));
}

// ratings: a Map from film to stars.
function predictions(model, ratings, weight) {
  const everybody = model.b.map(bias => model.mean + bias);
  if (!ratings.size) return everybody;
  const X = model.Q.map(factors => [...factors, 1]);
  const rated = [...ratings.keys()];
  const y = rated.map(film => ratings.get(film) - everybody[film]);
  const p = foldIn(rated.map(film => X[film]), y, weight);
  return everybody.map((prediction, film) => prediction + dot(X[film], p));
}

function best(predicted, rated, count = 10) {
  const others = range(predicted.length).filter(film => !rated.includes(film));
  return others.sort((a, b) => predicted[b] - predicted[a]).slice(0, count);
}

function nearest(model, film, rated, count = 2) {
  const length = other => Math.sqrt(dot(model.Q[other], model.Q[other]));
  const cosine = other => dot(model.Q[film], model.Q[other]) / length(film) / length(other);
  const pairs = rated.map(other => [other, cosine(other)]);
  return pairs.sort((a, b) => b[1] - a[1]).slice(0, count);
}

/* Films by title: a combobox with a list, as the ARIA practices describe it. */

function filmSearch(titles, choose) {
  const lowered = titles.map(title => title.toLowerCase());
  const input = make("input", {
    id: "film-search", type: "text", role: "combobox", autocomplete: "off", spellcheck: "false",
    "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": "film-options",
    "aria-describedby": "film-help",
  });
  const list = make("ul", { id: "film-options", role: "listbox", "aria-label": "Films found" });
  const found = make("span", { class: "said", role: "status" });
  let active = -1;

  function activate(number) {
    active = number;
    [...list.children].forEach((option, i) => option.setAttribute("aria-selected", i === active));
    const option = list.children[active];
    if (option) option.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", option ? option.id : "");
  }

  function show(films) {
    list.replaceChildren(...films.map(film => {
      const option = make("li", { id: `film-${film}`, role: "option" }, titles[film]);
      option.addEventListener("click", () => take(film));
      return option;
    }));
    list.hidden = !films.length;
    input.setAttribute("aria-expanded", films.length > 0);
    activate(films.length ? 0 : -1);
  }

  function take(film) {
    input.value = found.textContent = "";
    show([]);
    choose(film);
  }

  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = film => words.every(word => lowered[film].includes(word));
    const films = words.length ? range(titles.length).filter(fits) : [];
    show(films.slice(0, 8));
    found.textContent = words.length ? `${films.length || "No"} films found` : "";
  });
  input.addEventListener("keydown", event => {
    const count = list.children.length;
    if (event.key === "Escape") {
      input.value = found.textContent = "";
      show([]);
    } else if (count && event.key === "Enter") {
      take(Number(list.children[active].id.replace("film-", "")));
    } else if (count && event.key === "ArrowDown") {
      activate((active + 1) % count);
    } else if (count && event.key === "ArrowUp") {
      activate((active + count - 1) % count);
    } else {
      return;
    }
    event.preventDefault();
  });
  input.addEventListener("blur", () => show([]));
  list.addEventListener("mousedown", event => event.preventDefault());  // the input keeps focus
  show([]);

  const label = make("label", { for: "film-search" }, "Find a film by its title");
  const help = make("p", { id: "film-help", class: "hint" },
    "Arrow keys and Enter choose; then the keys 1 to 5 give stars, and Enter leads back here.");
  return { input, parts: [label, make("div", { class: "search" }, input, list), found, help] };
}

/* The map. Names appear on hovering; the marked films can be reached by keyboard. */

function filmMap(model) {
  const box = draw("svg", { role: "group", "aria-label":
    `Map of ${model.titles.length} films by their factors. The marked ones are in the tab order; `
    + "arrow keys lead from one to the next." });
  const name = draw("text", { class: "name", "aria-hidden": "true" });
  let at = () => [0, 0], width = 0, focused = -1;

  function say(film) {
    const [x, y] = at(film);
    name.textContent = model.titles[film];
    const half = name.getComputedTextLength() / 2 + 4;
    fill(name, { x: Math.max(half, Math.min(x, width - half)), y: y < 30 ? y + 24 : y - 12 }, []);
  }

  function mark(film, label, ...shapes) {
    const [x, y] = at(film);
    const point = draw("g", { role: "img", tabindex: -1, "aria-label": label, class: "marked",
      "data-film": film, transform: `translate(${x} ${y})` }, ...shapes);
    point.addEventListener("focus", () => { focused = film; say(film); });
    return point;
  }

  function show(ratings, ten) {
    width = box.clientWidth || 300;
    const height = Math.round(0.75 * width);
    const scales = [0, 1].map(axis => {
      const values = model.map.map(point => point[axis]);
      return [Math.min(...values), Math.max(...values)];
    });
    at = film => [width, height].map((size, axis) => {
      const share = (model.map[film][axis] - scales[axis][0]) / (scales[axis][1] - scales[axis][0]);
      return 14 + (size - 28) * (axis ? 1 - share : share);
    });
    const dots = range(model.titles.length).map(film => {
      const [cx, cy] = at(film);
      return draw("circle", { cx, cy, r: width < 450 ? 1.3 : 2 });
    });
    const recommended = ten.map((film, i) => mark(film,
      `${model.titles[film]}, number ${i + 1} of your ten`,
      draw("circle", { r: 9, class: "ten" }), draw("text", { dy: "0.35em" }, i + 1)));
    const rated = [...ratings].map(([film, stars]) => mark(film,
      `${model.titles[film]}, rated ${stars}`, draw("path", { d: "M0-8 8 0 0 8-8 0Z" })));
    const marked = [...rated, ...recommended];
    const first = marked.find(point => Number(point.dataset.film) === focused) || marked[0];
    first.setAttribute("tabindex", 0);
    name.textContent = "";
    box.setAttribute("viewBox", `0 0 ${width} ${height}`);
    box.replaceChildren(...dots, ...recommended.reverse(), ...rated, name);
    box.onkeydown = event => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const here = marked.indexOf(document.activeElement);
      if (!step || here < 0) return;
      event.preventDefault();
      const next = marked[(here + step + marked.length) % marked.length];
      marked.forEach(point => point.setAttribute("tabindex", point === next ? 0 : -1));
      next.focus();
    };
  }

  function hover(event) {
    const { left, top } = box.getBoundingClientRect();
    const far = film => {
      const [x, y] = at(film);
      return Math.hypot(x - event.clientX + left, y - event.clientY + top);
    };
    const film = range(model.titles.length).reduce((a, b) => far(b) < far(a) ? b : a);
    if (far(film) < 24) say(film);
    else name.textContent = "";
  }
  box.addEventListener("pointermove", hover);
  box.addEventListener("pointerdown", hover);
  return { box, show, fits: () => box.clientWidth === width };
}

/* The page try-it: ratings in, ten films out. */

function tryIt(mount, model) {
  const ratings = new Map();
  const rated = make("ul", { class: "rated" });
  const ten = make("ol", { class: "ten" });
  const status = make("p", { role: "status", class: "hint" });
  const map = filmMap(model);
  const slider = make("input", { id: "penalty", type: "range", min: 0,
    max: model.weights.length - 1, step: 1 });
  slider.value = model.weights.indexOf(model.weight);
  const output = make("output", { for: "penalty" });

  function update() {
    const weight = model.weights[slider.value];
    const predicted = predictions(model, ratings, weight);
    const films = best(predicted, [...ratings.keys()]);
    output.textContent = weight;
    slider.setAttribute("aria-valuetext", `lambda ${weight}`);
    ten.replaceChildren(...films.map(film => make("li", { "data-film": film },
      make("span", { class: "title" }, model.titles[film]), " ",
      make("span", { class: "prediction" }, predicted[film].toFixed(2)),
      make("span", { class: "reason" }, reason(film)))));
    map.show(ratings, films);
    const count = ratings.size === 1 ? "1 film" : `${ratings.size || "No"} films`;
    status.textContent = `${count} rated, λ = ${weight}. First on your list: `
      + `${model.titles[films[0]]}, ${predicted[films[0]].toFixed(2)} stars.`;
  }

  function reason(film) {
    const near = nearest(model, film, [...ratings.keys()]);
    const names = near.map(([other, cosine]) =>
      `${model.titles[other]} (${cosine.toFixed(2)}; you gave ${ratings.get(other)})`);
    return near.length ? `near ${names.join(" and ")}` : "";
  }

  function add(film, stars) {
    const present = rated.querySelector(`[data-film="${film}"]`);
    if (present) return present;
    const remove = make("button", { type: "button" }, "Remove",
      make("span", { class: "said" }, ` ${model.titles[film]}`));
    const rate = stars => { ratings.set(film, stars); update(); };
    const group = starButtons(film, model.titles[film], stars, rate,
      { done: () => search.input.focus() });
    const item = make("li", { "data-film": film }, group, remove);
    remove.addEventListener("click", () => {
      item.remove();
      ratings.delete(film);
      update();
      search.input.focus();
    });
    rated.prepend(item);
    return item;
  }

  function start(example) {
    ratings.clear();
    rated.replaceChildren();
    for (const [film, stars] of example) {
      ratings.set(film, stars);
      add(film, stars);
    }
    slider.value = model.weights.indexOf(model.weight);
    update();
  }

  const search = filmSearch(model.titles, film => add(film).querySelector("input").focus());
  const example = make("button", { type: "button" }, "Rate this page's five films");
  const reset = make("button", { type: "button" }, "Start over");
  example.addEventListener("click", () => start(model.example));
  reset.addEventListener("click", () => start([]));
  slider.addEventListener("input", update);

  mount.replaceChildren(
    ...search.parts,
    make("h3", { id: "try-it-ratings" }, "Your ratings"), rated,
    make("p", { class: "buttons" }, example, " ", reset),
    make("p", { class: "slider" },
      make("label", { for: "penalty" }, "Penalty λ"), output, slider),
    status,
    make("h3", { id: "try-it-ten" }, "Your ten films"), ten,
    make("h3", {}, "The films by their factors"), map.box,
    make("p", { class: "hint" }, "Diamonds: rated. Numbered circles: your ten. Dots: the others."));
  rated.setAttribute("aria-labelledby", "try-it-ratings");
  ten.setAttribute("aria-labelledby", "try-it-ten");
  start([]);
  window.addEventListener("resize", () => map.fits() || update());
}

start("try-it", tryIt);
