// Moments in the reader's own time zone. The server writes UTC, which stays in `datetime` and as a title.

const STYLES = {
  moment: { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false },
  exact: { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false },
  short: { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", hour12: false },
  time: { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false },
  day: { day: "2-digit", month: "short", year: "numeric" },
};
const formats = new Map();

function format(style) {
  const name = style in STYLES ? style : "moment";
  if (!formats.has(name)) formats.set(name, new Intl.DateTimeFormat("en-GB", STYLES[name]));
  return formats.get(name);
}

/** How long ago, in the two coarsest words: "12 s ago", "3 m ago", "2 h ago", "5 d ago". */
export function ago(moment, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - moment) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

/** How long something has been going on: "4 s", "3 m 07 s", "2 h 05 m". */
export function since(moment, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - moment) / 1000));
  const two = (number) => String(number).padStart(2, "0");
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${two(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${two(Math.floor(seconds / 60) % 60)} m`;
}

function write(element) {
  const moment = Date.parse(element.dateTime);
  if (Number.isNaN(moment)) return;
  const style = element.dataset.style;
  const text = style === "ago" ? ago(moment) : style === "since" ? since(moment) : format(style).format(moment);
  if (element.textContent !== text) element.textContent = text;
  element.title ||= `${element.dateTime} (UTC)`;
}

/** Write every <time datetime> below `root`. */
export function showTimes(root = document) {
  for (const element of root.querySelectorAll("time[datetime]")) write(element);
}

setInterval(() => {
  if (document.hidden) return;
  for (const element of document.querySelectorAll('time[data-style="ago"], time[data-style="since"]')) write(element);
}, 1000);
