// Sends a file with its progress, and takes one that is dropped. Without this file the form sends it, without a word on the way.
import { elementsOf } from "./trusted.js";

export function uploadWithProgress(form) {
  const input = form.querySelector("input[type=file]");
  const zone = form.querySelector("[data-drop]") ?? form;
  const bar = form.querySelector("progress");
  const said = form.querySelector("[data-upload-said]");
  const most = Number(form.dataset.uploadMost);
  let isSending = false;

  const say = (text) => { said.textContent = text; };

  function refuse(text) {
    isSending = false;
    bar.hidden = true;
    say(text);
  }

  function wrongWith(file) {
    if (!file) return "Choose a file first.";
    if (!file.name.toLowerCase().endsWith(".csv")) return "Only .csv files are accepted: save the file as CSV UTF-8.";
    if (file.size >= most) return "The file is larger than 30 MB: divide it.";
    return "";
  }

  function send(file) {
    const wrong = wrongWith(file);
    if (wrong) { refuse(wrong); return; }
    isSending = true;
    const body = new FormData();
    for (const field of form.querySelectorAll("input[type=hidden]")) body.append(field.name, field.value);
    body.append("file", file, file.name);
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      bar.hidden = false;
      bar.max = event.total;
      bar.value = event.loaded;
      say(event.loaded < event.total ? `${Math.floor((100 * event.loaded) / event.total)} % sent` : "Sent. It is being stored.");
    });
    request.addEventListener("load", () => {
      if (request.status < 400) { location.assign(request.responseURL); return; }
      const error = elementsOf(request.responseText).map((each) => each.querySelector("[data-upload-error], main p")).find(Boolean);
      refuse(error?.textContent.trim() || "The file could not be sent: try again.");
    });
    request.addEventListener("error", () => refuse("The connection was lost, and the file was not accepted: try again."));
    say("Sending…");
    request.send(body);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (!isSending) send(input.files[0]);
  });
  input.addEventListener("change", () => {
    const wrong = wrongWith(input.files[0]);
    say(wrong || `${input.files[0].name} is chosen.`);
  });
  for (const name of ["dragenter", "dragover"]) {
    zone.addEventListener(name, (event) => { event.preventDefault(); zone.classList.add("drop-over"); });
  }
  for (const name of ["dragleave", "drop"]) zone.addEventListener(name, () => zone.classList.remove("drop-over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    if (isSending || !event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    send(event.dataTransfer.files[0]);
  });
}
