// Which pictures may be shown: those that stand in the content itself, of the common kinds, and of a size that can be drawn.

const MOST_PIXELS = 25_000_000; // a few kilobytes can unfold to gigabytes
const DATA = /^data:image\/(png|gif|jpeg|webp);base64,([a-z0-9+/]+={0,2})$/i;

export const isData = (url) => DATA.test(url);

/** Width times height as the picture's head says, or Infinity where it does not. */
function pixels(kind, bytes) {
  const view = new DataView(bytes.buffer);
  const at = (place) => (place + 2 <= bytes.length ? view.getUint16(place) : NaN);
  if (kind === "png") return bytes.length > 24 ? view.getUint32(16) * view.getUint32(20) : NaN;
  if (kind === "gif") return bytes.length > 10 ? view.getUint16(6, true) * view.getUint16(8, true) : NaN;
  if (kind === "webp") {
    if (bytes.length < 30) return NaN;
    const form = String.fromCharCode(...bytes.slice(12, 16));
    if (form === "VP8 ") return (view.getUint16(26, true) & 0x3fff) * (view.getUint16(28, true) & 0x3fff);
    if (form === "VP8L") return ((view.getUint16(21, true) & 0x3fff) + 1) * (((view.getUint32(21, true) >> 14) & 0x3fff) + 1);
    const three = (place) => view.getUint16(place, true) + (bytes[place + 2] << 16) + 1;
    return form === "VP8X" ? three(24) * three(27) : NaN;
  }
  // JPEG: segment after segment until the one that has the size.
  for (let place = 2; place + 9 < bytes.length && bytes[place] === 0xff; place += 2 + at(place + 2)) {
    const marker = bytes[place + 1];
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) return at(place + 5) * at(place + 7);
  }
  return NaN;
}

/** Whether a `data:` URL is a picture that may be drawn. */
export function mayShow(url) {
  const [, kind, content] = DATA.exec(url) ?? [];
  if (!kind) return false;
  try {
    const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
    return pixels(kind.toLowerCase(), bytes) <= MOST_PIXELS;
  } catch {
    return false;
  }
}
