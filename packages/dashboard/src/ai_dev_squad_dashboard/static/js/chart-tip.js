// What stands under the pointer: the step's numbers, largest on top as they are stacked, and their sum where they have one.

import { span } from "./chart-words.js";

function row(label, value, hue) {
  const line = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  if (hue) {
    const swatch = document.createElement("span");
    swatch.className = `swatch hue-${hue}`;
    const key = document.createElement("span");
    key.className = "key";
    key.append(swatch, label);
    head.append(key);
  } else head.append(label);
  const cell = document.createElement("td");
  cell.append(value);
  line.append(head, cell);
  return line;
}

function table(data, sums, step, index, words) {
  const all = document.createElement("table");
  all.createCaption().textContent = span(data.starts[index], step);
  const body = all.createTBody();
  for (const one of data.series.toReversed()) {
    if (one.values[index]) body.append(row(one.key, words(one.values[index]), one.hue));
  }
  if (sums ? body.rows.length !== 1 : !body.rows.length) all.createTFoot().append(row(...(sums ? ["Total", words(sums.at(-1)[index])] : ["Nothing", ""])));
  return all;
}

/** A plugin of uPlot. `words` writes a number. */
export function tip(data, sums, step, words) {
  let box;
  return {
    hooks: {
      init: [
        (chart) => {
          box = document.createElement("div");
          box.className = "tip";
          box.hidden = true;
          chart.over.append(box);
          chart.over.addEventListener("mouseleave", () => (box.hidden = true));
        },
      ],
      setCursor: [
        (chart) => {
          const { left } = chart.cursor;
          if (left === undefined || left < 0) {
            box.hidden = true;
            return;
          }
          // Bars begin at their moment, so the one before the pointer is meant, not the nearest.
          const at = chart.posToVal(left, "x");
          const index = data.starts.findLastIndex((start) => start <= at);
          if (index < 0) return;
          if (box.dataset.index !== String(index)) {
            box.replaceChildren(table(data, sums, step, index, words));
            box.dataset.index = index;
          }
          box.hidden = false;
          const width = chart.over.clientWidth;
          const room = box.offsetWidth + 16;
          box.style.left = `${left + room > width ? Math.max(0, left - room) : left + 14}px`;
          box.style.top = "4px";
        },
      ],
    },
  };
}
