// What the theme, MathJax and pandas leave undone.

const each = (selector, change) => document.querySelectorAll(selector).forEach(change);

// For those who listen to a page. A table's corner without text is no heading; a button whose text
// can be read needs no other name; the book's title is the page's banner.
addEventListener("DOMContentLoaded", () => {
  each("th:empty", (corner) => corner.replaceWith(document.createElement("td")));
  each("summary, .search-button-field", (button) => button.removeAttribute("aria-label"));
  each(".theme-switch", (icon) => icon.removeAttribute("title"));
  each(".navbar-brand", (title) => title.parentElement.setAttribute("role", "banner"));
  each("header:not(:has(*))", (unused) => unused.remove());
});

// A column of numbers is one for the style sheet, too, with its headings.
const isNumber = (cell) => /^[-+−]?[\d.,]+( ± [\d.,]+)?%?$|^(–|never|nan)?$/i.test(cell.textContent.trim());

addEventListener("DOMContentLoaded", () => each(".bd-article table:is(.table, .dataframe)", (table) => {
  if (!table.tHead || !table.tBodies.length) return;
  const rows = [...table.tBodies[0].rows];
  // Counted from the right, as a heading of several rows is missing at the left of all but the first.
  for (let column = 1; column <= rows[0].cells.length; column++) {
    const inColumn = (row) => row.cells[row.cells.length - column];
    const cells = rows.map(inColumn).filter(Boolean);
    if (!cells.every(isNumber)) continue;
    const heads = [...table.tHead.rows].map(inColumn).filter(Boolean);
    [...heads, ...cells].forEach((cell) => cell.classList.add("number"));
  }
}));

// A search shows the words around its hit: those of the page's text, without the toolbar above it, its
// title, which stands over them, and its folded code.
addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return;
  const textOf = Search.htmlToText;
  Search.htmlToText = (html, anchor) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    const around = ".bd-header-article, #jb-print-docs-body, h1, summary, .tag_hide-input .cell_input";
    page.querySelectorAll(around).forEach((part) => part.remove());
    return textOf.call(Search, page.documentElement.outerHTML, anchor).replace(/\s+/g, " ");
  };
});

// Formulas are set one by one, those near the window first, so that a long page can be read and scrolled
// at once. The others follow when they come near, or after some seconds; all at once for paper.
const unset = () => [...document.querySelectorAll(".math:not(:has(mjx-container))")];
let formulasSet = unset().length && new Promise((loaded) => {
  const script = document.createElement("script");
  script.src = document.documentElement.dataset.content_root + "_static/mathjax/tex-chtml.js";
  script.onload = loaded;
  document.head.append(script);
}).then(() => MathJax.startup.promise);

async function setEach(formulas) {
  for (const formula of formulas) {
    if (formula.querySelector("mjx-container")) continue;
    await MathJax.typesetPromise([formula]);
    await new Promise((next) => setTimeout(next));
  }
}

function setFormulas(formulas = unset()) {
  formulasSet = formulasSet && formulasSet.then(() => setEach(formulas));  // one after the other
}

if (formulasSet) {
  const near = new IntersectionObserver((entries) =>
    setFormulas(entries.filter((entry) => entry.isIntersecting).map((entry) => entry.target)),
    { rootMargin: "50%" });
  unset().forEach((formula) => near.observe(formula));
  setTimeout(setFormulas, 10000);
  addEventListener("beforeprint", () => MathJax.typeset(unset()));
}

// Paper is white.
const root = document.documentElement.dataset;
let theme;
addEventListener("beforeprint", () => ([theme, root.theme] = [root.theme, "light"]));
addEventListener("afterprint", () => (root.theme = theme));
