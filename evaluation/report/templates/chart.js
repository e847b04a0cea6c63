"use strict";
// Line charts: values on hover; curves of one class instead of the mean.
for (const svg of document.querySelectorAll("[data-line-chart]")) {
  const chart = JSON.parse(svg.dataset.lineChart);
  svg.chart = chart;
  const cursor = svg.querySelector(".cursor");
  const lastX = chart.x[chart.x.length - 1];
  const [left, width] = chart.plot;
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const wanted = (((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width - left) / width * lastX;
    let at = 0;
    chart.x.forEach((x, index) => { if (Math.abs(x - wanted) < Math.abs(chart.x[at] - wanted)) at = index; });
    const place = left + (width * chart.x[at]) / lastX;
    cursor.setAttribute("x1", place);
    cursor.setAttribute("x2", place);
    cursor.style.visibility = "visible";
    const lines = chart.series.map(([name, values]) => `${values[at].toFixed(1)}  ${name}`);
    report.showHint([`${chart.axis}: ${chart.x[at]}`, ...lines].join("\n"), event);
  });
  svg.addEventListener("pointerleave", () => { cursor.style.visibility = "hidden"; report.hideHint(); });
}

// Curves of the classes are bytes: class by class, then tIoU, then recall.
for (const select of document.querySelectorAll("[data-pr-class]")) {
  const figure = select.closest(".controls").parentElement.querySelector("[data-pr]");
  const svg = figure.querySelector("svg");
  const lines = [...svg.querySelectorAll(".line")];
  const names = [...figure.querySelectorAll(".legend li")].map((item) => item.lastChild);
  const mean = { points: lines.map((line) => line.getAttribute("points")), series: svg.chart.series };
  const meanNames = names.map((node) => node.textContent);
  const curves = report.data.curves[figure.dataset.pr];
  const [, tious, recalls] = curves.shape;
  let bytes = null;

  select.addEventListener("change", () => {
    if (select.value === "") {
      svg.chart.series = mean.series;
      lines.forEach((line, at) => line.setAttribute("points", mean.points[at]));
      names.forEach((node, at) => { node.textContent = meanNames[at]; });
      return;
    }
    bytes = bytes || Uint8Array.from(atob(curves.bytes), (character) => character.charCodeAt(0));
    const [left, width] = svg.chart.plot;
    const [top, height, highest] = svg.chart.height;
    svg.chart.series = lines.map((line, tiou) => {
      const start = (Number(select.value) * tious + tiou) * recalls;
      const values = Array.from(bytes.subarray(start, start + recalls), (value) => (100 * value) / curves.steps);
      const points = values.map((value, at) =>
        `${(left + (width * at) / (recalls - 1)).toFixed(1)},${(top + height * (1 - value / highest)).toFixed(1)}`);
      line.setAttribute("points", points.join(" "));
      return [meanNames[tiou].replace(/ \(.*/, ""), values];
    });
    names.forEach((node, at) => { node.textContent = svg.chart.series[at][0]; });
  });
}
