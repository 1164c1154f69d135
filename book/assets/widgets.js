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

const sum = numbers => numbers.reduce((total, number) => total + number, 0);
const dot = (a, b) => sum(a.map((number, i) => number * b[i]));
const range = count => [...Array(count).keys()];
