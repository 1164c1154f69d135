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

// A visitor of whom nothing is known has zeros.
function visitor(model, ratings, weight) {
  if (!ratings.size) return [...model.Q[0], 1].map(() => 0);
  const rated = [...ratings.keys()];
  const y = rated.map(film => ratings.get(film) - model.mean - model.b[film]);
  return foldIn(rated.map(film => [...model.Q[film], 1]), y, weight);
}

// The films for a visitor p, by their biases (share 0), their taste terms (share 1) or both.
function best(model, p, rated, share, count = 10) {
  const score = range(model.listed).map(film =>
    (1 - share) * model.b[film] + share * dot(model.Q[film], p.slice(0, -1)));
  const others = range(model.listed).filter(film => !rated.includes(film));
  return others.sort((a, b) => score[b] - score[a]).slice(0, count);
}

function predict(model, p, film) {
  return model.mean + model.b[film] + dot([...model.Q[film], 1], p);
}

// For each rating, the vector that it adds to p: the solution for its y alone.
function partsOf(model, ratings, weight) {
  const rated = [...ratings.keys()];
  const X = rated.map(film => [...model.Q[film], 1]);
  return rated.map(film => foldIn(X, rated.map(other =>
    other === film ? ratings.get(film) - model.mean - model.b[film] : 0), weight));
}

// The largest one or two terms of a prediction, as pairs of words and stars.
function because(model, film, ratings, parts) {
  const words = model.b[film] >= 0.3 ? "nearly everybody likes it" : "many like it";
  const reasons = [[words, model.b[film]]];
  [...ratings].forEach(([other, stars], i) => reasons.push([
    `you gave ${withoutYear(model.titles[other])} ${stars}`,
    dot(model.Q[film], parts[i].slice(0, -1))]));
  reasons.sort((a, b) => b[1] - a[1]);
  return reasons.slice(0, 2).filter(([, term]) => term >= 0.05);
}

const withoutYear = title => title.replace(/ \(\d{4}\)$/, "");

/* Ratings in the address, by the ids of the films: #rated-50x5-56x3 (see fragmentOf). */

function ratingsOf(fragment, ids) {
  const given = fragment.startsWith("#rated-") ? fragment.slice(1).split("-").slice(1) : [];
  const pairs = given.map(piece => piece.match(/^(\d+)x([1-5])$/)).filter(Boolean)
    .map(([, id, stars]) => [ids.indexOf(Number(id)), Number(stars)]);
  return new Map(pairs.filter(([film]) => film >= 0));
}

/* Films by title: a combobox with a list, as the ARIA practices describe it. */

function filmSearch(titles, choose) {
  const plain = text => text.toLowerCase().replace(/['’]/g, "").replace(/[^\p{L}\p{N}]+/gu, " ");
  const lowered = titles.map(plain);
  const input = make("input", {
    id: "film-search", type: "text", role: "combobox", autocomplete: "off", spellcheck: "false",
    "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": "film-options",
    "aria-describedby": "film-help", placeholder: "as in: empire strikes",
  });
  const list = make("ul", { id: "film-options", role: "listbox", "aria-label": "Films found" });
  const found = make("p", { class: "hint found", role: "status" });
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
    const words = plain(input.value).split(" ").filter(Boolean);
    const fits = film => words.every(word => lowered[film].includes(word));
    const films = words.length ? range(titles.length).filter(fits) : [];
    show(films.slice(0, 8));
    found.textContent = !words.length ? "" : !films.length
      ? "No such film: the data end in April 1998, and films with fewer than 50 ratings are left out."
      : films.length === 1 ? "1 film found" : films.length <= 8 ? `${films.length} films found`
        : `${films.length} films found, the first 8 are shown`;
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
  const help = make("p", { id: "film-help", class: "hint" }, matchMedia("(pointer: coarse)").matches
    ? "Tap a film, then its stars."
    : "Arrow keys and Enter choose; then the keys 1 to 5 give stars, and Enter leads back here.");
  return { input, parts: [label, make("div", { class: "search" }, input, list), found, help] };
}

/* The map. Names appear on hovering; the marked films can be reached by keyboard. */

function filmMap(model) {
  const box = draw("svg", { role: "group", "aria-label":
    `Map of ${model.titles.length} films by their factors. The marked ones are in the tab order; `
    + "arrow keys lead from one to the next." });
  const name = draw("text", { class: "name", "aria-hidden": "true" });
  let at = () => [0, 0], width = 0, focused = -1, drawn = null;

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

  // Twice as far from the middle as the visitor's factors are, and within the map.
  function you(p, scales) {
    const [x, y] = model.axes.map((axis, i) => {
      const value = 2 * dot(axis, p.slice(0, -1));
      return Math.max(scales[i][0], Math.min(value, scales[i][1]));
    });
    return { x, y, side: x < 0 ? "start" : "end" };
  }

  function show(ratings, ten, p) {
    drawn = [ratings, ten, p];
    width = box.clientWidth || 300;
    const height = Math.round(0.75 * width);
    const scales = [0, 1].map(axis => {
      const values = model.map.map(point => point[axis]);
      return [Math.min(...values), Math.max(...values)];
    });
    const onMap = place => [width, height].map((size, axis) => {
      const share = (place[axis] - scales[axis][0]) / (scales[axis][1] - scales[axis][0]);
      return 14 + (size - 28) * (axis ? 1 - share : share);
    });
    at = film => onMap(model.map[film]);
    const dots = range(model.titles.length).map(film => {
      const [cx, cy] = at(film);
      return draw("circle", { cx, cy, r: width < 450 ? 1.3 : 2 });
    });
    const recommended = ten.map((film, i) => mark(film,
      `${model.titles[film]}, number ${i + 1} of your ten`,
      draw("circle", { r: 9, class: "ten" }), draw("text", { dy: "0.35em" }, i + 1)));
    const rated = [...ratings].map(([film, stars]) => mark(film,
      `${model.titles[film]}, rated ${stars}`, draw("path", { d: "M0-8 8 0 0 8-8 0Z" })));
    const named = model.landmarks.map(film => {
      const [x, y] = at(film);
      const side = x < 80 ? "start" : x > width - 80 ? "end" : "middle";
      return draw("text", { x, y: y + 13, class: "landmark", "text-anchor": side,
        "aria-hidden": "true" }, withoutYear(model.titles[film]));
    });
    const here = you(p, scales);
    const [x, y] = onMap([here.x, here.y]);
    const self = draw("g", { role: "img", "aria-label": "You", class: "you",
      style: `transform: translate(${x}px, ${y}px)` },
    draw("path", { d: "M0-13 3.5-4.5 13-4 5.5 2 8 11 0 6-8 11-5.5 2-13-4-3.5-4.5Z" }),
    draw("text", { x: here.side === "start" ? 16 : -16, dy: "0.35em", "text-anchor": here.side },
      "you"));
    const before = box.querySelector(".you");
    const marked = [...rated, ...recommended];
    const first = marked.find(point => Number(point.dataset.film) === focused) || marked[0];
    first.setAttribute("tabindex", 0);
    name.textContent = "";
    box.setAttribute("viewBox", `0 0 ${width} ${height}`);
    box.replaceChildren(...dots, ...named, ...recommended.reverse(), ...rated, self, name);
    if (before && !matchMedia("(prefers-reduced-motion: reduce)").matches) {
      self.animate([{ transform: before.style.transform }, {}], { duration: 400, easing: "ease-out" });
    }
    box.onkeydown = event => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const index = marked.indexOf(document.activeElement);
      if (!step || index < 0) return;
      event.preventDefault();
      const next = marked[(index + step + marked.length) % marked.length];
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
  new ResizeObserver(() => {
    if (drawn && box.clientWidth && box.clientWidth !== width) show(...drawn);
  }).observe(box);
  return { box, show };
}

/* The page try-it: ratings in, ten films out. */

const POSITIONS = ["what everybody likes", "everybody's taste more than yours",
  "best for you: the highest predictions", "your taste more than everybody's", "your taste alone"];

function tryIt(mount, model) {
  const ratings = new Map();
  const rated = make("ul", { class: "rated" });
  const ten = make("ol", { class: "ten" });
  const status = make("p", { role: "status", class: "said" });
  const effect = make("p", { class: "hint" });
  const above = make("p", { class: "hint" },
    "5.0: the terms add up to more than five stars, which nobody can give.");
  const copied = make("span", { role: "status", class: "hint" });
  const map = filmMap(model);
  const slide = (id, values, value) => {
    const slider = make("input", { id, type: "range", min: 0, max: values.length - 1, step: 1 });
    slider.value = values.indexOf(value);
    slider.addEventListener("input", update);
    return slider;
  };
  const taste = slide("taste", model.shares, model.share);
  const penalty = slide("penalty", model.weights, model.weight);
  const position = make("output", { for: "taste" });
  const lambda = make("output", { for: "penalty" });

  function update() {
    const weight = model.weights[penalty.value], share = model.shares[taste.value];
    const films = [...ratings.keys()];
    const p = visitor(model, ratings, weight);
    const list = best(model, p, films, share);
    const everybody = best(model, p, films, 0);
    const parts = partsOf(model, ratings, weight);
    const predicted = list.map(film => predict(model, p, film));
    const words = predicted.map(stars => stars > 5 ? "5.0" : stars.toFixed(2));
    position.textContent = POSITIONS[taste.value];
    taste.setAttribute("aria-valuetext", POSITIONS[taste.value]);
    lambda.textContent = weight;
    penalty.setAttribute("aria-valuetext", `lambda ${weight}`);
    ten.replaceChildren(...list.map((film, i) => make("li", { "data-film": film },
      make("span", { class: "title" }, model.titles[film]), " ",
      make("span", { class: "prediction" }, words[i]),
      make("span", { class: "reason" }, reason(film, parts)))));
    above.hidden = predicted.every(stars => stars <= 5);
    const own = list.filter(film => !everybody.includes(film)).length;
    effect.textContent = own ? `${own} of these ten ${own === 1 ? "is" : "are"} not among everybody's ten.`
      : "These are everybody's ten.";
    map.show(ratings, list, p);
    for (const chip of chips) chip.hidden = Boolean(rated.querySelector(`[data-film="${chip.value}"]`));
    nothing.hidden = rated.children.length > 0;
    const count = ratings.size === 1 ? "1 film" : `${ratings.size || "No"} films`;
    status.textContent = `${count} rated. First on your list: ${model.titles[list[0]]}, `
      + `${words[0]} stars. ${effect.textContent}`;
  }

  function reason(film, parts) {
    const reasons = because(model, film, ratings, parts)
      .map(([words, term]) => `${words} (+${term.toFixed(2)})`);
    return reasons.length ? reasons.join(", ") : "no single reason stands out";
  }

  function remember() {
    const { pathname, search } = window.location;
    const given = [...ratings].map(([film, stars]) => [model.ids[film], stars]);
    window.history.replaceState(null, "", fragmentOf(given) || pathname + search);
    copied.textContent = "";
  }

  function add(film, stars) {
    const present = rated.querySelector(`[data-film="${film}"]`);
    if (present) return present;
    const title = model.titles[film];
    const remove = make("button", { type: "button", "aria-label": `Remove ${title}` }, "×");
    const rate = stars => { ratings.set(film, stars); remember(); update(); };
    const group = starButtons(film, title, stars, rate, { done: () => search.input.focus() });
    const item = make("li", { "data-film": film }, group, remove);
    remove.addEventListener("click", () => {
      item.remove();
      ratings.delete(film);
      remember();
      update();
      search.input.focus();
    });
    rated.prepend(item);
    return item;
  }

  function open(film) {
    add(film).querySelector("input").focus();
    update();
  }

  function start(given) {
    ratings.clear();
    rated.replaceChildren();
    for (const [film, stars] of given) {
      ratings.set(film, stars);
      add(film, stars);
    }
    update();
  }

  async function copy() {
    try {
      await navigator.clipboard.writeText(window.location.href);
      copied.textContent = " Copied.";
    } catch {
      copied.textContent = " Copy the page's address: your ratings are in it.";
    }
  }

  const button = (text, act) => {
    const made = make("button", { type: "button" }, text);
    made.addEventListener("click", act);
    return made;
  };
  const search = filmSearch(model.titles, open);
  const chips = model.chips.map(film => {
    const chip = button(withoutYear(model.titles[film]), () => open(film));
    chip.value = film;
    return chip;
  });
  const tastes = Object.entries(model.tastes).map(([name, films]) =>
    button(name, () => { start(films); remember(); }));
  const nothing = make("p", { class: "hint" }, "None yet: this is what everybody gets.");

  mount.replaceChildren(make("div", { class: "board" },
    make("div", { class: "choose" },
      make("p", { class: "buttons" }, make("span", {}, "One click, five ratings:"), ...tastes),
      ...search.parts,
      make("p", { class: "buttons chips" }, make("span", {}, "Or one of these:"), ...chips)),
    make("div", { class: "mine" },
      make("h2", { id: "try-it-ratings" }, "Your ratings"), nothing, rated,
      make("p", { class: "buttons" }, button("Start over", () => { start([]); remember(); }),
        button("Copy link", copy), copied)),
    make("div", { class: "list" },
      make("h2", { id: "try-it-ten" }, "Your ten films"),
      make("p", { class: "slider" }, make("label", { for: "taste" }, "Sorted by"), " ", position, taste,
        make("span", { class: "ends", "aria-hidden": "true" },
          make("span", {}, "everybody's"), make("span", {}, "yours"))),
      effect, ten, above),
    make("div", { class: "where" },
      make("h2", {}, "You among the films"), map.box,
      make("p", { class: "hint" },
        "Diamonds: rated. Numbered circles: your ten. Dots: the others. The star is you."),
      make("details", {}, make("summary", {}, "How far a few ratings are believed"),
        make("p", { class: "slider" }, make("label", { for: "penalty" }, "Penalty λ"), " ", lambda,
          penalty, make("span", { class: "ends", "aria-hidden": "true" },
            make("span", {}, "fully"), make("span", {}, "hardly")))))),
  status);
  rated.setAttribute("aria-labelledby", "try-it-ratings");
  ten.setAttribute("aria-labelledby", "try-it-ten");
  start(ratingsOf(window.location.hash, model.ids));
  window.addEventListener("hashchange", () => {
    if (window.location.hash.startsWith("#rated-")) start(ratingsOf(window.location.hash, model.ids));
  });
}

// The widget comes after the page's first sentences, before the folded cells that prepare it.
start("try-it", (mount, model) => {
  document.querySelector("article h1 ~ p")?.after(mount.closest(".cell_output") || mount);
  tryIt(mount, model);
});
