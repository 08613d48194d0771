// Numbers as the server writes them (formats.py), for rows that scripts draw.

const grouped = (value, digits) => value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** Microseconds: "850 µs", "12.3 ms", "4.56 s", "3 m 07 s", "2 h 05 m". */
export function duration(us) {
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 999_950) return `${(us / 1000).toFixed(1)} ms`;
  const seconds = us / 1_000_000;
  if (seconds < 60) return `${seconds.toFixed(2)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  const two = (number) => String(number).padStart(2, "0");
  if (minutes < 60) return `${minutes} m ${two(Math.round(seconds) % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} m`;
}

/** US dollars with as many digits as there is money. */
export function money(usd) {
  if (usd === 0) return "$0";
  if (usd < 0.000001) return "<$0.000001";
  return `$${grouped(usd, usd >= 1 ? 2 : usd >= 0.1 ? 3 : usd >= 0.001 ? 4 : 6)}`;
}

/** A name in one line: what would not be seen, or would change its neighbours, becomes visible or goes. */
export function line(text, limit = 120) {
  const visible = text
    .slice(0, limit)
    .replace(/\u001b\[[0-9;:]{0,60}m/g, "")
    .replace(/\r?\n/g, "↵")
    .replace(/[\u0000-\u001f]/g, (character) => String.fromCharCode(0x2400 + character.charCodeAt(0)))
    .replace(/[\u007f-\u009f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, (character) => `⟨U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`)
    .replace(/(\p{M}{6})\p{M}+/gu, "$1");
  return text.length > limit ? `${visible}…` : visible;
}
