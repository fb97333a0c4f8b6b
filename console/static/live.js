// Follows what a page shows: `data-live` is the path of its stream. Elements that come replace those with the same id. Where the
// element of `data-live` is a list (`data-live-most`: how long it gets), new ones are put in by their `data-order`, the greatest first,
// or in front; what is more than that leaves at the end. A `<template data-only="ids…">` names all that the list holds.
// One stream a page, and none while nobody looks at it.
import { elementsOf } from "./trusted.js";

// A stream that was refused isn't asked for again by the browser.
const AGAIN = 10000;

export function follow(list) {
  const status = document.querySelector("[data-live-status]");
  const word = status?.querySelector("[data-live-word]");
  const pause = status?.querySelector("[data-live-pause]");
  // As they came: what the browser or this file has changed since is no news.
  const told = new Map();
  let source = null;
  let isPaused = false;
  let again = 0;
  let waiting = [];
  let only = null;

  const say = (text) => { if (word && word.textContent !== text) word.textContent = text; };
  const hasFocus = (element) => element.contains(document.activeElement);

  function place(element) {
    const order = element.dataset.order;
    const next = order === undefined ? list.firstElementChild
      : [...list.children].find((each) => (each.dataset.order ?? "") < order);
    list.insertBefore(element, next ?? null);
    for (let last = list.lastElementChild; list.children.length > Number(list.dataset.liveMost); last = list.lastElementChild) {
      if (hasFocus(last)) break;
      last.remove();
    }
  }

  function put(element) {
    if (element.dataset.only !== undefined) {
      only = new Set(element.dataset.only.split(" "));
      tidy();
      return;
    }
    const old = document.getElementById(element.id);
    if (old && hasFocus(old)) {
      // What somebody is in stays until they leave it.
      waiting = waiting.filter((each) => each.id !== element.id).concat(element);
      return;
    }
    const html = element.outerHTML;
    if (old && html === (told.get(element.id) ?? old.outerHTML)) return;
    told.set(element.id, html);
    if (old) old.replaceWith(element);
    else if (list.dataset.liveMost !== undefined) place(element);
    else return;
    element.classList.add("changed");
    document.querySelectorAll("[data-live-empty]").forEach((each) => { each.hidden = true; });
    list.closest("[data-live-shown]")?.removeAttribute("hidden");
    list.dispatchEvent(new CustomEvent("live-changed", { detail: element, bubbles: true }));
  }

  function tidy() {
    for (const each of [...list.children]) {
      if (only && each.id && !only.has(each.id) && !hasFocus(each)) each.remove();
    }
  }

  document.addEventListener("focusout", () => setTimeout(() => {
    const ready = waiting;
    waiting = [];
    ready.forEach(put);
    tidy();
  }));

  function open() {
    clearTimeout(again);
    if (source) return;
    if (isPaused || document.hidden) { say(isPaused ? "Paused" : "Not live"); return; }
    source = new EventSource(list.dataset.live);
    source.addEventListener("open", () => say("Live"));
    source.addEventListener("error", () => {
      say("Not live");
      if (source?.readyState === EventSource.CLOSED) { source = null; again = setTimeout(open, AGAIN); }
    });
    source.addEventListener("rows", (event) => elementsOf(event.data).forEach(put));
    source.addEventListener("gone", () => { isPaused = true; close(); location.reload(); });
  }
  function close() {
    clearTimeout(again);
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
  addEventListener("pageshow", open);
  open();
}
