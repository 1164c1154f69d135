// The page mf: one prediction, term by term.
"use strict";

const signed = number => (number < 0 ? "−" : "+") + Math.abs(number).toFixed(3);

// The terms as [name, value]; of the products, the largest ones by themselves.
function termsOf(model, user, film, count) {
  const P_u = model.P[user], Q_i = model.Q[film];
  const products = P_u.map((number, f) => number * Q_i[f]);
  const largest = range(products.length).sort((a, b) =>
    Math.abs(products[b]) - Math.abs(products[a])).slice(0, count);
  const others = products.filter((_, f) => !largest.includes(f));
  const terms = [
    [say("mean μ"), model.mean],
    [say("user bias bᵤ"), model.b_u[user][0]],
    [say("film bias bᵢ"), model.b_i[film][0]],
    ...largest.map(f => [say("factor {f}: {product}",
      { f, product: `${P_u[f]} × ${Q_i[f]}`.replaceAll("-", "−") }), products[f]]),
    [say("the other {count} factors", { count: others.length }), sum(others)],
  ];
  return { terms: others.length ? terms : terms.slice(0, -1), products };
}

// A table row for each term, with a bar from the sum before it to the sum after it.
function termRows(terms) {
  const after = terms.map((_, i) => sum(terms.slice(0, i + 1).map(([, value]) => value)));
  const low = Math.min(...after) - 0.3, high = Math.max(...after);
  const place = number => 100 * (number - low) / (high - low);
  return terms.map(([name, value], i) => {
    const ends = [i ? after[i - 1] : low, after[i]].map(place).sort((a, b) => a - b);
    const bar = make("span", { class: value < 0 ? "down" : "up" });
    bar.style.marginLeft = `${ends[0]}%`;
    bar.style.width = `${ends[1] - ends[0]}%`;
    return make("tr", {}, make("th", { scope: "row" }, name),
      make("td", {}, i ? signed(value) : value.toFixed(3)),
      make("td", {}, make("div", {}, after[i].toFixed(3), make("span", { class: "track" }, bar))));
  });
}

function productBars(products) {
  const largest = Math.max(...products.map(Math.abs));
  const bars = products.map((product, f) => {
    const height = Math.max(29 * Math.abs(product) / largest, 0.5);
    return draw("rect", { x: 10 * f + 1, width: 8, height, y: product < 0 ? 30 : 30 - height,
      class: product < 0 ? "down" : "up" },
      draw("title", {}, say("factor {f}: {product}", { f, product: signed(product) })));
  });
  const positive = products.filter(product => product > 0).length;
  return draw("svg", { role: "img", viewBox: `0 0 ${10 * products.length} 60`,
    preserveAspectRatio: "none", "aria-label":
    say("Bars of all {count} products in order, {positive} of them positive; their sum is {sum}",
      { count: products.length, positive, sum: signed(sum(products)) }) }, ...bars);
}

function showTerms(mount, model) {
  const choice = (id, names) => make("select", { id },
    ...names.map((name, i) => make("option", { value: i }, name)));
  const users = choice("terms-user", model.users.map(user => say("user {user}", { user })));
  const films = choice("terms-film", model.titles);
  const all = make("input", { id: "terms-all", type: "checkbox" });
  const caption = make("caption"), body = make("tbody"), total = make("td");
  const bars = make("div", { class: "bars" });
  const status = make("p", { role: "status", class: "hint" });
  const head = [say("term"), say("value"), say("sum so far")].map(name => make("th", { scope: "col" }, name));

  function update() {
    const user = Number(users.value), film = Number(films.value);
    const { terms, products } = termsOf(model, user, film, all.checked ? Infinity : 5);
    const prediction = sum(terms.map(([, value]) => value));
    const name = say("User {user}, {film}", { user: model.users[user], film: model.titles[film] });
    caption.textContent = name;
    body.replaceChildren(...termRows(terms));
    total.textContent = prediction.toFixed(3);
    bars.replaceChildren(productBars(products));
    status.textContent = say("{name}: predicted {stars} stars.", { name, stars: prediction.toFixed(2) });
  }

  for (const input of [users, films, all]) input.addEventListener("change", update);
  mount.replaceChildren(
    make("p", { class: "choices" },
      make("label", { for: "terms-user" }, say("User")), users,
      make("label", { for: "terms-film" }, say("Film")), films,
      all, make("label", { for: "terms-all" }, say("list all products"))),
    make("table", {}, caption, make("thead", {}, make("tr", {}, ...head)), body,
      make("tfoot", {}, make("tr", {}, make("th", { scope: "row" }, say("prediction")), make("td"), total))),
    make("p", { class: "hint" }, say("A bar leads from the sum before a term to the sum after it; the "
      + "scale does not begin at 0. All products, in the order of the factors:")), bars, status);
  update();
}

start("terms", showTerms);
