// Shows what a message will look like while it is being typed; without this file the button Preview does it.
import { elementsOf } from "./trusted.js";

const RESTS = 400;

export function previewWhileTyping(form) {
  let timer = 0;
  let asking = null;

  async function show() {
    asking?.abort();
    asking = new AbortController();
    const fields = new URLSearchParams(new FormData(form));
    fields.set("then", "preview");
    try {
      const answer = await fetch(form.action, { method: "POST", body: fields, signal: asking.signal, redirect: "manual" });
      if (!answer.ok) return;
      const fresh = elementsOf(await answer.text()).map((each) => each.querySelector("#preview")).find(Boolean);
      const shown = form.querySelector("#preview");
      if (fresh && shown && !shown.contains(document.activeElement)) shown.replaceWith(fresh);
    } catch (error) {
      if (error.name !== "AbortError") return;
    }
  }

  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(show, RESTS); });

  // A country that is chosen puts its code in front of the number.
  const country = form.querySelector("[data-country]");
  const select = country?.querySelector("select");
  const number = form.elements.recipient;
  if (!select || !number) return;
  country.hidden = false;
  let before = select.value;
  select.addEventListener("change", () => {
    number.value = select.value + (number.value.startsWith(before) ? number.value.slice(before.length) : "");
    before = select.value;
    number.focus();
  });
}
