// The page implicit: a held-out film that can be moved in a ranked list, and what it counts there.
"use strict";

const rankGain = place => 1 / Math.log2(place + 1);

// HR@k and NDCG@k of one user, as d2lrec/rankings.py has them: `better` films score higher and
// `tied` the same, and both are the mean over all orders of the tied films.
function rankNumbers(better, tied, k) {
  const places = range(tied + 1).map(n => better + 1 + n);
  const within = places.filter(place => place <= k);
  return { places, within, hitRate: within.length / places.length,
    ndcg: sum(within.map(rankGain)) / places.length };
}

// The gain of each place, with those the film may have marked, and the mean over these.
function rankCurve(count, k, { places, ndcg }) {
  const x = place => 34 + (place - 1) * 308 / (count - 1), y = gain => 118 - 106 * gain;
  const line = range(10 * (count - 1) + 1).map(n => 1 + n / 10)
    .map(place => `${x(place).toFixed(1)},${y(rankGain(place)).toFixed(1)}`).join(" ");
  const axis = [0, 0.5, 1].map(gain => draw("g", {},
    draw("path", { d: `M30 ${y(gain)}H350`, class: "grid" }),
    draw("text", { x: 26, y: y(gain) + 4, class: "end" }, gain)));
  const names = [1, 5, k, 15, count].filter(place => place <= count).map(place =>
    draw("text", { x: x(place), y: 136, class: "middle" }, place));
  const dots = range(count).map(n => n + 1).map(place => draw("circle", {
    cx: x(place), cy: y(place <= k ? rankGain(place) : 0), r: places.includes(place) ? 6 : 2.5,
    class: places.includes(place) ? "here" : "other" }));
  const edge = (x(k) + x(k + 1)) / 2;
  return draw("svg", { role: "img", viewBox: "0 0 356 142", "aria-label":
    `The gain of each place. It is 1 at place 1, falls to ${rankGain(k).toFixed(2)} at place ${k}, and is `
    + `0 beyond. The film is at ${placesInWords(places)}, where the mean gain is ${ndcg.toFixed(3)}.` },
  ...axis, draw("polyline", { points: line }), draw("path", { d: `M${edge} 4V118`, class: "edge" }),
  draw("text", { x: edge + 5, y: 30 }, `the list ends: k = ${k}`),
  draw("text", { x: 62, y: 30 }, "gain of a place"),
  draw("path", { d: `M30 ${y(ndcg)}H350`, class: "mean" }), ...dots, ...names);
}

function placesInWords(places) {
  return places.length === 1 ? `place ${places[0]}` : `places ${places[0]} to ${places.at(-1)}`;
}

function showRank(mount, { film, others, place: first, k }) {
  const count = others.length + 1;
  let place = first;
  const row = title => make("li", {}, make("span", { class: "place" }), make("span", { class: "title" }, title));
  const tile = row(film);
  const slider = make("span", { class: "tile", role: "slider", tabindex: 0, "aria-orientation": "vertical",
    "aria-valuemin": 1, "aria-valuemax": count, "aria-label": `${film}, the held-out film` });
  slider.append(...tile.childNodes, make("span", { class: "grip", "aria-hidden": "true" }, "⇕"));
  tile.append(slider);
  const list = make("ol", { class: "ranking", "aria-label": "The ranked list" }, ...others.map(row));
  list.insertBefore(tile, list.children[place - 1]);
  const ties = make("input", { id: "rank-ties", type: "range", min: 0, max: 10, step: 1 });
  ties.value = 0;
  const tiesOutput = make("output", { for: "rank-ties" });
  const number = name => make("div", {}, make("dt", {}, name), make("dd"));
  const numbers = make("dl", {}, ...["place", `HR@${k}`, `NDCG@${k}`].map(number));
  const curve = make("div");
  const status = make("p", { role: "status", class: "hint" });

  // Not the film is moved but the others around it: it keeps the focus and the pointer.
  function arrange() {
    const rows = [...list.children];
    const behind = rows.indexOf(tile) - (place - 1);
    if (behind > 0) tile.after(...rows.slice(place - 1, place - 1 + behind));
    if (behind < 0) tile.before(...rows.slice(place + behind, place));
  }

  function update() {
    const tied = Number(ties.value);
    const result = rankNumbers(place - 1, tied, k);
    const { places, within, hitRate, ndcg } = result;
    arrange();
    [...list.children].forEach((item, n) => {
      const isTied = tied > 0 && places.includes(n + 1);
      item.classList.toggle("tied", isTied);
      item.classList.toggle("last", n + 1 === k);
      item.querySelector(".place").textContent = isTied ? "=" : n + 1;
    });
    const also = tied ? `, tied with the next ${tied}` : "";
    fill(slider, { "aria-valuenow": place, "aria-valuetext": `place ${place} of ${count}${also}` }, []);
    tiesOutput.textContent = tied;
    const shown = [tied ? `${places[0]}–${places.at(-1)}` : place, hitRate.toFixed(3), ndcg.toFixed(3)];
    [...numbers.querySelectorAll("dd")].forEach((cell, n) => { cell.textContent = shown[n]; });
    curve.replaceChildren(rankCurve(count, k, result));
    const words = placesInWords(places);
    const gains = within.map(n => rankGain(n).toFixed(2)).join(" + ");
    status.textContent = tied
      ? `${words[0].toUpperCase()}${words.slice(1)} are equally likely, and ${within.length} of these `
        + `${places.length} are on the list: HR@${k} = ${within.length}/${places.length}, `
        + `NDCG@${k} = ${within.length ? `(${gains})/${places.length}` : 0}.`
      : `Place ${place} is ${within.length ? "" : "not "}on the list: HR@${k} = ${within.length}, `
        + `NDCG@${k} = ${within.length ? `1/log₂(${place + 1})` : 0}.`;
  }

  function moveTo(wanted) {
    place = Math.max(1, Math.min(wanted, count));
    update();
  }

  slider.addEventListener("keydown", event => {
    const wanted = { ArrowUp: place - 1, ArrowLeft: place - 1, ArrowDown: place + 1, ArrowRight: place + 1,
      PageUp: place - 5, PageDown: place + 5, Home: 1, End: count }[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    moveTo(wanted);
  });
  slider.addEventListener("pointerdown", event => {
    slider.setPointerCapture(event.pointerId);
    slider.focus();
    event.preventDefault();
  });
  slider.addEventListener("pointermove", event => {
    if (!slider.hasPointerCapture(event.pointerId)) return;
    const { top, height } = list.getBoundingClientRect();
    moveTo(1 + Math.floor(count * (event.clientY - top) / height));
  });
  ties.addEventListener("input", update);

  mount.replaceChildren(make("div", { class: "sides" },
    make("div", {}, numbers, curve),
    list,
    make("div", {},
      make("p", { class: "slider" },
        make("label", { for: "rank-ties" }, "Tie it with the next films: "), tiesOutput, ties),
      status)));
  update();
}

start("rank", showRank);
