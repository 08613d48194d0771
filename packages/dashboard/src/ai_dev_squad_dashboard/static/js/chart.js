// Sums over time as stacked bars, or what does not add up as lines. The figure holds the numbers as a table; this draws
// that table, and nothing else.
//
// <figure data-module="chart" data-shape="bars|lines" data-unit="usd|count|us" data-step="…µs">  .plot  table.data  th[data-hue]  td[data-value]

import uPlot from "../vendor/uplot.js";
import { axisLabel, full, short } from "./chart-words.js";
import { tip } from "./chart-tip.js";

const drawn = new WeakMap();

/** A value of the table; what is unknown is left out of a line. */
const number = (text) => (text === "" ? null : Number(text));

/** The numbers of the table: starts in seconds, and for each series its key, hue and values. */
function read(figure) {
  const table = figure.querySelector("table.data");
  const heads = [...table.querySelectorAll("thead th[data-hue]")];
  const rows = [...table.tBodies[0].rows];
  return {
    starts: rows.map((row) => Date.parse(row.querySelector("time").dateTime) / 1000),
    series: heads.map((head, column) => ({
      key: head.textContent,
      hue: head.dataset.hue,
      values: rows.map((row) => number(row.cells[column + 1].dataset.value)),
    })),
  };
}

/** Each series with those below it added. */
function stack(series) {
  const sums = [];
  let below = series[0].values.map(() => 0);
  for (const one of series) {
    below = below.map((sum, index) => sum + one.values[index]);
    sums.push(below);
  }
  return sums;
}

/** What a variable of the style sheet is as a colour: a canvas knows no variables. */
function colour(element, variable) {
  const probe = document.createElement("i");
  probe.style.color = `var(${variable})`;
  element.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

/** The places of values whose neighbours are unknown: a line has no length there. */
const alone = (chart, series) => {
  const values = chart.data[series];
  return values.flatMap((value, place) => (value === null || values[place - 1] != null || values[place + 1] != null ? [] : [place]));
};

/** How a series is drawn: as bars on those below it, or as a line of its own. */
function drawing(one, shape, plot) {
  const hue = colour(plot, `--hue-${one.hue}`);
  if (shape === "lines") return { stroke: hue, width: 2, points: { show: true, size: 5, fill: hue, filter: alone } };
  return { fill: hue, stroke: colour(plot, "--surface"), width: 0, points: { show: false }, paths: uPlot.paths.bars({ align: 1, size: [0.86, 48] }) };
}

function options(figure, plot, data, sums) {
  const { unit, shape } = figure.dataset;
  const step = Number(figure.dataset.step) / 1e6;
  const grid = { stroke: colour(plot, "--line"), width: 1 };
  const axis = { stroke: colour(plot, "--faint"), grid, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  const first = data.starts[0];
  const last = data.starts.at(-1) + step;
  return {
    width: plot.clientWidth,
    height: plot.clientHeight,
    legend: { show: false },
    padding: [10, 24, 0, 0], // half of the last moment stands beyond the end of its axis
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
    scales: {
      x: { time: true, range: () => [first, last] },
      y: { range: (chart, low, high) => [0, high > 0 ? high * 1.08 : 1] },
    },
    axes: [
      { ...axis, grid: { show: false }, space: 70, size: 28, values: (chart, splits, i, s, increment) => splits.map((at) => axisLabel(at, increment)) },
      { ...axis, size: 56, space: 34, values: (chart, splits) => splits.map((value) => short(value, unit)) },
    ],
    // The highest sum first: what is drawn later covers its lower part.
    series: [{}, ...data.series.map((one) => drawing(one, shape, plot)).reverse()],
    hooks: {
      setSelect: [(chart) => zoom(chart, step)],
    },
    plugins: [tip(data, sums, step, (value) => full(value, unit))],
  };
}

/** A span of time that was drawn with the pointer becomes the page's. */
function zoom(chart, step) {
  if (chart.select.width < 6) return;
  const start = Math.floor(chart.posToVal(chart.select.left, "x") / step) * step;
  const end = Math.ceil(chart.posToVal(chart.select.left + chart.select.width, "x") / step) * step;
  const url = new URL(location.href);
  for (const name of ["range", "time_range", "cursor"]) url.searchParams.delete(name);
  url.searchParams.set("from", new Date(start * 1000).toISOString());
  url.searchParams.set("to", new Date(end * 1000).toISOString());
  location.assign(url);
}

function draw(figure, plot) {
  const data = read(figure);
  // Percentiles have no sum.
  const sums = figure.dataset.shape === "lines" ? null : stack(data.series);
  const heights = sums ?? data.series.map((one) => one.values);
  drawn.get(plot)?.destroy();
  plot.replaceChildren();
  drawn.set(plot, new uPlot(options(figure, plot, data, sums), [data.starts, ...heights.toReversed()], plot));
}

export function mount(figure) {
  const plot = figure.querySelector(".plot");
  if (!figure.querySelector("td[data-value]")) {
    // What was drawn before has left the span of time.
    drawn.get(plot)?.destroy();
    drawn.delete(plot);
    plot.replaceChildren();
    plot.look = "";
    return;
  }
  const look = figure.querySelector("table.data").innerHTML;
  if (plot.look === look && drawn.has(plot)) return;
  plot.look = look;
  draw(figure, plot);
  if (plot.watched) return;
  plot.watched = true;
  const redraw = () => plot.isConnected && drawn.has(plot) && draw(figure, plot);
  new ResizeObserver(() => {
    const chart = drawn.get(plot);
    if (chart && chart.width !== plot.clientWidth && plot.clientWidth) chart.setSize({ width: plot.clientWidth, height: plot.clientHeight });
  }).observe(plot);
  document.addEventListener("theme:changed", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}
