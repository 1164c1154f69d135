// What the parts of pages that the reader can play with share. Each has a file of its own and stands
// where a page has put <div class="widget NAME"> with its numbers as JSON; elsewhere nothing happens.
"use strict";

// Start a widget where the page has one: `build` gets the element to fill, and the numbers.
function start(name, build) {
  const data = document.querySelector(`.widget.${name} > script`);
  if (data) build(data.parentElement, JSON.parse(data.textContent));
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

// A text in the book's language, with values in the places of {name}: where the book is translated, the
// build hands `ownWords` over (book/translate.py, which finds the texts by these calls).
function say(text, values = {}) {
  const said = typeof ownWords === "undefined" ? text : ownWords[text] ?? text;
  return said.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

const sum = numbers => numbers.reduce((total, number) => total + number, 0);
const dot = (a, b) => sum(a.map((number, i) => number * b[i]));
const range = count => [...Array(count).keys()];

// Ratings, pairs of a film's id and stars, as the end of an address: #rated-50x5-56x3. It could be an
// element's id too, which the theme takes it for.
function fragmentOf(ratings) {
  const given = ratings.filter(([, stars]) => stars).map(([id, stars]) => `-${id}x${stars}`);
  return given.length ? `#rated${given.join("")}` : "";
}

/* Five stars as radio buttons, on request with a sixth for a film that was not seen. */

function starButtons(name, title, stars, rate, { done = () => {}, notSeen = false } = {}) {
  const button = value => make("input", {
    type: "radio", name: `stars-${name}`, value,
    "aria-label": value === 0 ? say("not seen") : value === 1 ? say("1 star")
      : say("{count} stars", { count: value }),
  });
  const buttons = range(5).map(i => button(i + 1));
  const parts = buttons.map(button =>
    make("label", {}, button, make("span", { "aria-hidden": "true" })));
  if (stars) buttons[stars - 1].checked = true;
  if (notSeen) {
    const none = button(0);
    none.checked = !stars;
    parts.push(make("label", { class: "none" }, none, make("small", {}, say("not seen"))));
  }
  const group = make("fieldset", {}, make("legend", {}, title), ...parts);
  group.addEventListener("change", event => rate(Number(event.target.value)));
  group.addEventListener("keydown", event => {
    if (event.key === "Enter") {
      done();
    } else if (/^[1-5]$/.test(event.key)) {
      buttons[event.key - 1].focus();
      buttons[event.key - 1].click();
    } else {
      return;
    }
    event.preventDefault();
  });
  return group;
}
