// Follows a list: `data-live` is the path of its stream. Elements that come replace those with the same id; new ones go in front, and
// what is more than `data-live-most` leaves at the end. One stream a page, and none while nobody looks at it.
import { elementsOf } from "./trusted.js";

export function follow(list) {
  const status = document.querySelector("[data-live-status]");
  const word = status?.querySelector("[data-live-word]");
  const pause = status?.querySelector("[data-live-pause]");
  let source = null;
  let isPaused = false;
  let waiting = [];

  const say = (text) => { if (word && word.textContent !== text) word.textContent = text; };

  function put(element) {
    const old = document.getElementById(element.id);
    if (old && old.contains(document.activeElement)) {
      // What somebody is in stays until they leave it.
      waiting = waiting.filter((each) => each.id !== element.id).concat(element);
      return;
    }
    if (old && old.outerHTML === element.outerHTML) return;
    if (old) old.replaceWith(element);
    else if (list.dataset.liveMost !== undefined) {
      list.prepend(element);
      while (list.children.length > Number(list.dataset.liveMost)) list.lastElementChild.remove();
    } else return;
    element.classList.add("changed");
    document.querySelectorAll("[data-live-empty]").forEach((each) => each.remove());
    list.dispatchEvent(new CustomEvent("live-changed", { detail: element, bubbles: true }));
  }

  document.addEventListener("focusout", () => setTimeout(() => {
    const ready = waiting;
    waiting = [];
    ready.forEach(put);
  }));

  function open() {
    if (source || isPaused || document.hidden) return;
    source = new EventSource(list.dataset.live);
    source.addEventListener("open", () => say("Live"));
    source.addEventListener("error", () => {
      say("Not live");
      // A stream that was refused isn't asked for again by the browser.
      if (source && source.readyState === EventSource.CLOSED) { source = null; setTimeout(open, 10000); }
    });
    source.addEventListener("rows", (event) => elementsOf(event.data).forEach(put));
    source.addEventListener("gone", () => { close(); isPaused = true; location.reload(); });
  }
  function close() {
    source?.close();
    source = null;
    say(isPaused ? "Paused" : "Not live");
  }

  if (status) status.hidden = false;
  pause?.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.textContent = isPaused ? "Go on" : "Pause";
    if (isPaused) close(); else open();
  });
  document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else open(); });
  addEventListener("pagehide", close);
  open();
}
