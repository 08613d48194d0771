// The live connection: subscribes to the page's own URL, and shows what the server sends for it.
//
// States, as `data-live` on <html> and in words in #live, with a button to pause beside it:
//   connecting · connected · paused (by the reader, or because the tab is hidden) · reconnecting
//   polling (the server has no room for a live connection: the page is fetched again now and then)
//   still (nothing here can change) · ended (the login has expired)
//
// Events: dispatches `live:lines` on #view for the tail of a log, with {message, acknowledge}, and `live:running` on document.
// `live:toggle` on document pauses and resumes.

import { io } from "../vendor/socket.io.js";
import { isReading, morphView } from "./morph.js";

const POLL_MS = 5_000;
const POLL_AT_MOST_MS = 60_000;
const FAILURES_BEFORE_POLLING = 3;
const RETRY_REFUSED_MS = 30_000;
// State → what data-state of #live becomes, the words, and the explanation.
const STATES = {
  connecting: ["off", "Connecting", "Connecting to the dashboard"],
  connected: ["on", "Live", "This page updates by itself"],
  paused: ["off", "Paused", "Updates are paused"],
  reconnecting: ["lost", "Reconnecting", "The dashboard does not answer; trying again"],
  polling: ["on", "Live, by polling", "There is no live connection, so the page is fetched now and then"],
  still: ["off", "Not live", "The span of time lies in the past, or this is an older part of a list: nothing changes any more"],
  ended: ["lost", "Logged out", "Load the page again to log in"],
};

const SVG = "http://www.w3.org/2000/svg";
const PAUSE = "M4 3h3v10H4zM9 3h3v10H9z";
const PLAY = "M5 3l8 5-8 5z";

let socket = null;
let view = null;
let pausedByReader = false;
let subscribed = null;
let pending = null;
let failures = 0;
let pollTimer = 0;
let pollMs = POLL_MS;
let retryTimer = 0;

export function start() {
  view = document.getElementById("view");
  if (!view || socket) return;
  socket = io({ transports: ["websocket", "polling"], autoConnect: false, reconnectionDelayMax: 30_000, tryAllTransports: true });
  socket.on("connect", connected);
  socket.on("disconnect", () => wanted() && show("reconnecting"));
  socket.on("connect_error", refused);
  socket.on("view_update", received);
  socket.on("log_lines", (message, acknowledge) => {
    const detail = { message, acknowledge };
    const taken = !view.dispatchEvent(new CustomEvent("live:lines", { detail, cancelable: true }));
    if (!taken) acknowledge();
  });
  socket.on("running", (message) => document.dispatchEvent(new CustomEvent("live:running", { detail: message })));

  document.addEventListener("visibilitychange", follow);
  document.addEventListener("selectionchange", applyPending);
  document.addEventListener("live:toggle", toggle);
  // Whoever changes the URL without loading a page says so by showing another view.
  view.addEventListener("view:updated", () => socket.connected && subscribed !== here() && subscribe());
  window.addEventListener("pagehide", () => socket.disconnect());
  window.addEventListener("pageshow", (event) => event.persisted && follow());
  follow();
}

function wanted() {
  return !pausedByReader && !document.hidden;
}

function toggle() {
  pausedByReader = !pausedByReader;
  follow();
}

function follow() {
  clearTimeout(retryTimer);
  if (wanted()) {
    if (!socket.connected) {
      show("connecting");
      socket.connect();
    }
  } else {
    stopPolling();
    socket.disconnect();
    show("paused");
  }
}

function here() {
  return location.pathname + location.search;
}

function connected() {
  failures = 0;
  stopPolling();
  subscribe();
}

function subscribe() {
  subscribed = here();
  pending = null;
  const after = document.querySelector("[data-newest]")?.dataset.newest;
  socket.emit("subscribe", { path: subscribed, parts: ["html"], ...(after ? { after } : {}) }, (answer) => {
    show(answer.ok && answer.live ? "connected" : "still");
  });
}

function received(message, acknowledge) {
  pending = { message, acknowledge };
  applyPending();
}

// The acknowledgement lets the next one come, so while somebody marks text nothing piles up.
function applyPending() {
  if (!pending || isReading(view)) return;
  const { message, acknowledge } = pending;
  pending = null;
  if (message.path === here()) morphView(view, message.html);
  acknowledge();
}

function refused(error) {
  if (!wanted()) return;
  if (error.message.startsWith("unauthorized")) {
    show("ended");
    return;
  }
  failures += 1;
  if (socket.active && failures < FAILURES_BEFORE_POLLING) {
    show("reconnecting");
    return;
  }
  if (!pollTimer) pollTimer = setTimeout(poll, 0);
  // A connection that was refused in so many words is not tried again by the client itself.
  if (!socket.active) {
    clearTimeout(retryTimer);
    retryTimer = setTimeout(() => wanted() && socket.connect(), RETRY_REFUSED_MS);
  }
}

async function poll() {
  try {
    const response = await fetch(here(), { headers: { Accept: "text/html" } });
    if (new URL(response.url).pathname !== location.pathname) {
      show("ended");
      return;
    }
    if (!response.ok) throw new Error(`status ${response.status}`);
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("view");
    if (fresh && !isReading(view)) morphView(view, fresh.innerHTML);
    show("polling");
    pollMs = POLL_MS;
  } catch {
    show("reconnecting");
    pollMs = Math.min(2 * pollMs, POLL_AT_MOST_MS);
  }
  if (wanted() && !socket.connected) pollTimer = setTimeout(poll, pollMs);
}

function stopPolling() {
  clearTimeout(pollTimer);
  pollTimer = 0;
  pollMs = POLL_MS;
}

function show(state) {
  document.documentElement.dataset.live = state;
  const sign = document.getElementById("live");
  if (!sign) return;
  const [kind, words, explanation] = STATES[state];
  sign.dataset.state = kind;
  sign.title = explanation;
  const text = sign.querySelector(".words");
  if (text.textContent !== words) text.textContent = words;
  const button = document.getElementById("live-toggle") ?? addToggle(sign);
  button.hidden = ["still", "ended"].includes(state);
  const does = pausedByReader ? "Resume updates" : "Pause updates";
  button.title = does;
  button.setAttribute("aria-label", does);
  button.querySelector("path").setAttribute("d", pausedByReader ? PLAY : PAUSE);
}

function addToggle(sign) {
  const button = document.createElement("button");
  button.type = "button";
  button.id = "live-toggle";
  button.className = "quiet";
  const picture = button.appendChild(document.createElementNS(SVG, "svg"));
  for (const [name, value] of Object.entries({ class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" })) picture.setAttribute(name, value);
  picture.appendChild(document.createElementNS(SVG, "path")).setAttribute("fill", "currentColor");
  button.addEventListener("click", toggle);
  sign.after(button);
  return button;
}
