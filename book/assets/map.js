// The page mf: a map of films, whose names appear on pointing, touching or choosing.
"use strict";

{
  const halo = "paint-order: stroke; stroke: var(--pst-color-background); stroke-width: 4px; "
    + "stroke-linejoin: round; pointer-events: none; ";

  // { titles, xy: [x, y] of each, near: the films nearest to each, landmarks: how many are named }
  function showMap(mount, model) {
    const films = range(model.titles.length);
    const box = draw("svg", { role: "img", "aria-label": say("Map of {count} films by what "
      + "they have learned. Choose a film in the list above, and the films nearest to it are named below.",
      { count: films.length }) });
    const choice = make("select", { id: "map-film" }, make("option", { value: "" }, say("none")),
      ...films.toSorted((a, b) => model.titles[a].localeCompare(model.titles[b]))
        .map(film => make("option", { value: film }, model.titles[film])));
    const status = make("p", { role: "status", class: "hint" });
    const name = draw("text", { "text-anchor": "middle", style: `${halo}font-weight: bold` });
    const chosen = draw("g"), low = [0, 1].map(axis => Math.min(...model.xy.map(point => point[axis])));
    const high = [0, 1].map(axis => Math.max(...model.xy.map(point => point[axis])));
    const named = new Map();  // the landmarks' texts
    let size = [0, 0];

    const at = film => size.map((length, axis) => {
      const share = (model.xy[film][axis] - low[axis]) / (high[axis] - low[axis]);
      return 14 + (length - 28) * (axis ? 1 - share : share);
    });

    function dot(film, r, style) {
      const [cx, cy] = at(film);
      return draw("circle", { cx, cy, r, style });
    }

    // Puts a text of that length over a film, or under it where it would leave the map; returns its box.
    function put(text, film, length = text.getComputedTextLength()) {
      const half = length / 2 + 4, [filmX, filmY] = at(film);
      const x = Math.max(half, Math.min(filmX, size[0] - half)), y = filmY < 30 ? filmY + 22 : filmY - 10;
      fill(text, { x, y }, []);
      return { x: x - half, y: y - 12, width: 2 * half, height: 15 };
    }

    function point(film) {
      for (const [other, text] of named) text.style.visibility = other === film ? "hidden" : "visible";
      name.textContent = film < 0 ? "" : model.titles[film];
      if (film >= 0) put(name, film);
    }

    function choose(film) {
      choice.value = film < 0 ? "" : film;
      chosen.replaceChildren(...(film < 0 ? [] : [
        ...model.near[film].map(other => dot(other, 5, "fill: var(--ours); opacity: 1")),
        dot(film, 7, "fill: var(--mark); opacity: 1")]));
      point(film);
      status.textContent = film < 0 ? say("Point at a dot, touch it, or choose a film.")
        : say("Nearest to {film} by all factors: {films}.", { film: model.titles[film],
          films: model.near[film].map(other => model.titles[other]).join("; ") });
    }

    function lay() {
      size = [box.clientWidth || 300, Math.round(0.8 * (box.clientWidth || 300))];
      box.setAttribute("viewBox", `0 0 ${size.join(" ")}`);
      box.replaceChildren(...films.map(film => dot(film, film < model.landmarks ? 3 : 2, "")), chosen);
      const taken = [];
      named.clear();
      const texts = films.slice(0, model.landmarks).map(film => draw("text", { "text-anchor": "middle",
        style: `${halo}font-size: 12px` }, model.titles[film].replace(/, The$/, "")));
      box.append(...texts);
      const lengths = texts.map(text => text.getComputedTextLength());  // all at once: measuring is slow
      texts.forEach((text, film) => {  // named where there is room
        const { x, y, width, height } = put(text, film, lengths[film]);
        const free = other => x > other.x + other.width || other.x > x + width
          || y > other.y + other.height || other.y > y + height;
        if (taken.every(free)) {
          taken.push({ x, y, width, height });
          named.set(film, text);
        } else {
          text.remove();
        }
      });
      box.append(name);
      choose(choice.value === "" ? -1 : Number(choice.value));
    }

    function nearest({ clientX, clientY }) {
      const { left, top } = box.getBoundingClientRect();
      const far = film => Math.hypot(at(film)[0] - clientX + left, at(film)[1] - clientY + top);
      const film = films.reduce((a, b) => far(b) < far(a) ? b : a);
      return far(film) < 24 ? film : -1;
    }

    box.addEventListener("pointermove", event => point(nearest(event)));
    box.addEventListener("pointerleave", () => point(choice.value === "" ? -1 : Number(choice.value)));
    box.addEventListener("click", event => choose(nearest(event)));
    choice.addEventListener("change", () => choose(choice.value === "" ? -1 : Number(choice.value)));
    mount.replaceChildren(make("p", { class: "choices" },
      make("label", { for: "map-film" }, say("Find a film")), choice), box, status);
    const still = mount.closest(".cell_output")?.querySelector("img");
    if (still) still.hidden = true;  // the same map as a still picture
    new ResizeObserver(() => box.clientWidth !== size[0] && lay()).observe(box);
    lay();
  }

  start("map", showMap);
}
