// Figures that can be turned: put the chart in the place of its still picture, which stays for print.
"use strict";

(() => {
  const phone = window.matchMedia("(max-width: 640px)");
  const figures = [...document.querySelectorAll(".ib-turn")];

  function draw(figure) {
    const [chart, bind] = [".ib-turn-chart", ".ib-turn-knobs"].map((part) => figure.querySelector(part));
    const spec = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
    // What stands side by side is too small to be read on a phone: there it stands one below the other.
    if (phone.matches && spec.hconcat) {
      spec.vconcat = spec.hconcat;
      delete spec.hconcat;
    }
    bind.replaceChildren();
    vegaEmbed(chart, spec, { actions: false, bind, renderer: "svg" })
      .then(() => figure.classList.add("ib-turning"))
      .catch((error) => {
        figure.classList.add("ib-still");
        console.error(error);
      });
  }

  figures.forEach(draw);
  phone.addEventListener("change", () => figures.forEach(draw));
})();
