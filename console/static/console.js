// Spares reloads and typing. Every page does all it does without this file, too.
import { follow } from "./live.js";
import { previewWhileTyping } from "./preview.js";
import { remarkWhileTyping } from "./remarks.js";
import { makeTabs } from "./tabs.js";
import { uploadWithProgress } from "./upload.js";

// A page that the browser kept for the way back is blank, and asked for anew: after a logout nothing is left of it.
addEventListener("pagehide", (event) => { if (event.persisted) document.documentElement.hidden = true; });
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

// What is wrong with a form is read first.
document.querySelector("[data-focus]")?.focus();

// Buttons that copy are there only where copying is, also those that come later.
if (navigator.clipboard) {
  document.documentElement.classList.add("can-copy");
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copies]");
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copies);
    const before = button.firstChild.textContent;
    button.firstChild.textContent = "Copied";
    setTimeout(() => { button.firstChild.textContent = before; }, 2000);
  });
}

// A second click on the same button sends nothing more; the server would do it once anyway.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || form.dataset.sent) {
    if (form.dataset.sent) event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  setTimeout(() => { delete form.dataset.sent; }, 5000);
});

for (const list of document.querySelectorAll("[data-live]")) follow(list);
for (const sections of document.querySelectorAll("[data-tabs]")) makeTabs(sections);
for (const form of document.querySelectorAll("form[data-remarks-from]")) remarkWhileTyping(form);
for (const form of document.querySelectorAll("form[data-preview]")) previewWhileTyping(form);
for (const form of document.querySelectorAll("form[data-upload]")) uploadWithProgress(form);

// A page that waits for something is made anew once that is there.
document.addEventListener("live-changed", (event) => {
  const list = event.target.closest("[data-live-state]");
  if (list && event.detail.dataset.state !== list.dataset.liveState) location.reload();
});
