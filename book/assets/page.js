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

// Formulas are set one by one, after the page's first lines can be read, so that it can be scrolled
// meanwhile; all at once when it is printed.
const unset = () => document.querySelectorAll(".math:not(:has(mjx-container))");

async function setFormulas() {
  await MathJax.startup.promise;
  for (const formula of unset()) {
    await MathJax.typesetPromise([formula]);
    await new Promise((next) => setTimeout(next));
  }
}

if (unset().length) {
  const script = document.createElement("script");
  script.src = document.documentElement.dataset.content_root + "_static/mathjax/tex-chtml.js";
  script.onload = () =>
    new PerformanceObserver(setFormulas).observe({ type: "paint", buffered: true });
  document.head.append(script);
  addEventListener("beforeprint", () => MathJax.typeset([...unset()]));
}

// Paper is white.
const root = document.documentElement.dataset;
let theme;
addEventListener("beforeprint", () => ([theme, root.theme] = [root.theme, "light"]));
addEventListener("afterprint", () => (root.theme = theme));
