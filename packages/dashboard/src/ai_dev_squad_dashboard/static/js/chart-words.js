// How a chart writes its numbers and moments.

const UNITS = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];

function dollars(value) {
  const size = Math.abs(value);
  if (size === 0) return "$0";
  const digits = size >= 1 ? 2 : size >= 0.1 ? 3 : size >= 0.001 ? 4 : 6;
  return `$${value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}

/** A duration in microseconds, as the page writes it. */
function duration(us, digits) {
  if (us === 0) return "0 s";
  if (us < 1e3) return `${Number(us.toPrecision(digits))} µs`;
  if (us < 999_950) return `${Number((us / 1e3).toPrecision(digits))} ms`;
  if (us < 6e7) return `${Number((us / 1e6).toPrecision(digits))} s`;
  if (us < 3.6e9) return `${Number((us / 6e7).toPrecision(digits))} m`;
  return `${Number((us / 3.6e9).toPrecision(digits))} h`;
}

/** For an axis: as short as it can be. */
export function short(value, unit) {
  if (unit === "us") return duration(value, 3);
  if (unit === "usd") return value === 0 ? "$0" : `$${Number(value.toPrecision(3))}`;
  const [factor, letter] = UNITS.find(([size]) => Math.abs(value) >= size) ?? [1, ""];
  return `${Number((value / factor).toPrecision(3))}${letter && ` ${letter}`}`;
}

/** For a reader: with all digits that matter. */
export function full(value, unit) {
  if (unit === "us") return duration(value, 4);
  return unit === "usd" ? dollars(value) : value.toLocaleString("en-US");
}

const two = (number) => String(number).padStart(2, "0");

/** A moment on the axis, by how far its marks are apart (seconds). */
export function axisLabel(at, increment) {
  const moment = new Date(at * 1000);
  const midnight = moment.getHours() === 0 && moment.getMinutes() === 0;
  if (increment >= 86400 || midnight) return moment.toLocaleDateString("en-GB", { day: "2-digit", month: "short" });
  return `${two(moment.getHours())}:${two(moment.getMinutes())}`;
}

/** A step of the timeline, from its start (seconds). Steps are those of UTC: where a day of the reader is another one, both ends have their hour. */
export function span(start, step) {
  const write = (at, words) => new Date(at * 1000).toLocaleString("en-GB", words);
  const moment = (at) => write(at, { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit" });
  const day = (at) => write(at, { day: "2-digit", month: "short", year: "numeric" });
  const end = start + step;
  const isMidnight = (at) => write(at, { hour: "2-digit", minute: "2-digit" }) === "00:00";
  if (step >= 86400 && isMidnight(start) && isMidnight(end)) return step > 86400 ? `${day(start)} – ${day(end - 1)}` : day(start);
  return `${moment(start)} – ${day(start) === day(end) ? moment(end).slice(-5) : moment(end)}`;
}
