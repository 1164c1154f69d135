// The front page: three films to rate, and the five that a model answers with. Its answers to all
// 216 ways to rate them are in the page.
"use strict";

function front(mount, { ids, rated, example, titles, lists }) {
  const stars = [...example];
  const five = make("ol");
  const status = make("p", { role: "status", class: "said" });
  const more = make("a");
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  function update() {
    const [first, second, third] = stars;
    const films = lists[36 * first + 6 * second + third];
    const before = new Map([...five.children].map(item => [item.dataset.film, item]));
    const tops = new Map([...before].map(([film, item]) => [film, item.getBoundingClientRect().top]));
    five.replaceChildren(...films.map(film => before.get(String(film))
      || make("li", { "data-film": film }, titles[film])));
    for (const item of before.size && !still.matches ? five.children : []) {
      const top = tops.get(item.dataset.film);
      const from = top === undefined ? { opacity: 0, transform: "translateX(2rem)" }
        : { transform: `translateY(${top - item.getBoundingClientRect().top}px)` };
      item.animate([from, {}], { duration: 400, easing: "ease-out" });
    }
    more.href = `try-it.html${fragmentOf(ids.map((id, i) => [id, stars[i]]))}`;
    status.textContent = say("First for you: {films}",
      { films: films.map(film => titles[film]).join("; ") });
  }

  const groups = rated.map((title, i) => starButtons(`front-${i}`, title, stars[i],
    given => { stars[i] = given; update(); }, { notSeen: true }));
  more.textContent = say("Rate more films");
  mount.replaceChildren(
    make("div", { class: "board" },
      make("div", {}, make("p", { class: "head" }, say("How do you like these three?")), ...groups),
      make("div", {}, make("p", { class: "head", id: "front-five" }, say("Then watch")), five)),
    make("p", { class: "hint" },
      say("The model knows 100,000 ratings, the last of April 1998. Your taste counts three times as "
        + "much here as what most people like."), " ", more),
    status);
  five.setAttribute("aria-labelledby", "front-five");
  update();
}

start("front", front);
