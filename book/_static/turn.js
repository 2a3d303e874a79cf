// Figures that can be turned: put the chart in the place of its still picture, which stays for print.
for (const figure of document.querySelectorAll(".ib-turn")) {
  const chart = figure.querySelector(".ib-turn-chart");
  const bind = figure.querySelector(".ib-turn-knobs");
  const spec = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
  vegaEmbed(chart, spec, { actions: false, bind, renderer: "svg" })
    .then(() => figure.classList.add("ib-turning"))
    .catch(console.error);
}
