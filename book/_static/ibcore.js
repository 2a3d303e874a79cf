// What a page does while it is read: formulas before text, so that nothing jumps; wide things by keyboard.
"use strict";

(() => {
  const root = document.documentElement;
  // As long as browsers hide text that waits for its font.
  const patience = 3000;
  const show = () => root.classList.remove("ib-typesetting");

  // Formulas in the window and around it come first; what was hidden is shown; then the rest, a few at a
  // time, so that the page answers meanwhile.
  async function typeset() {
    const near = (formula) => {
      const box = formula.getBoundingClientRect();
      return box.bottom > -window.innerHeight && box.top < 2 * window.innerHeight;
    };
    const formulas = [...document.querySelectorAll(".math")];
    await MathJax.typesetPromise(formulas.filter(near));
    // Two frames, so that everything has its place before it is seen.
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    show();
    const rest = formulas.filter((formula) => !formula.querySelector("mjx-container"));
    for (let first = 0; first < rest.length; first += 20) {
      await new Promise((resolve) => setTimeout(resolve));
      await MathJax.typesetPromise(rest.slice(first, first + 20));
    }
    watch();
  }

  if (window.MathJax) {
    root.classList.add("ib-typesetting");
    setTimeout(show, patience);
    window.MathJax.startup = { pageReady: typeset };
  }

  // A wide thing that scrolls must be reachable without a mouse, at once; the theme sees to code only later.
  // Asked after each layout that gave it another size: in another window, unfolded, back from paper.
  const reach = new ResizeObserver((entries) => {
    for (const { target: box } of entries) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  });
  function watch() {
    const wide = ["mjx-container[display]", ".math", ".cell_output", ".ib-claim", "pre"];
    for (const box of document.querySelectorAll(wide.map((w) => `.bd-article ${w}`).join())) reach.observe(box);
  }

  document.addEventListener("DOMContentLoaded", () => {
    // The theme gives the bar with the title of the book no role.
    const bar = document.getElementById("pst-primary-sidebar");
    bar?.setAttribute("role", "complementary");
    bar?.setAttribute("aria-label", "Book");
    watch();
    document.fonts.ready.then(watch);
  });
})();
