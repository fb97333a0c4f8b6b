// Shows what a draft's texts look like, and what is to be said of them, while somebody types: the form's fields are sent to the address
// in `data-remarks-from`, and each `data-remarks` of the answer replaces the one of that name. Without this file a button does it.
import { elementsOf } from "./trusted.js";

const WAIT = 400;

export function remarkWhileTyping(form) {
  let timer = 0;
  let asking = null;

  async function show() {
    asking?.abort();
    asking = new AbortController();
    try {
      const answer = await fetch(form.dataset.remarksFrom, {
        method: "POST", body: new URLSearchParams(new FormData(form)), signal: asking.signal, redirect: "manual",
      });
      if (!answer.ok) return;
      for (const element of elementsOf(await answer.text())) {
        const old = form.querySelector(`[data-remarks="${element.dataset.remarks}"]`);
        if (old && !old.contains(document.activeElement)) old.replaceWith(element);
      }
    } catch {
      // Another one has begun, or the server is away: what is shown stays.
    }
  }

  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(show, WAIT);
  });
}
