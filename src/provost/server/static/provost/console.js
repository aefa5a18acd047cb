// What the console's pages do in the browser. Everything is asked for by data-attributes; nothing is evaluated.
"use strict";

// data-theme-switch: light or dark.
document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-theme-switch]")) return;
  const next = document.documentElement.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
  document.documentElement.setAttribute("data-bs-theme", next);
  window.localStorage.setItem("provost-theme", next);
});

// data-opens="ID", data-closes: a <dialog>.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens).showModal();
  if (event.target.closest("[data-closes]")) event.target.closest("dialog").close();
});

// data-copies="ID": the text of an element, to the clipboard.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copies]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copies);
  const text = "value" in source ? source.value : source.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const range = document.createRange();
    range.selectNodeContents(source);
    window.getSelection().removeAllRanges();
    window.getSelection().addRange(range);
    document.execCommand("copy");
  }
  const before = button.textContent;
  button.textContent = document.body.dataset.copied;
  window.setTimeout(() => { button.textContent = before; }, 1500);
});

// data-ticks="NAME": ticks all boxes of that name in its form, or none.
document.addEventListener("change", (event) => {
  const { ticks } = event.target.dataset;
  if (!ticks) return;
  for (const box of event.target.form.querySelectorAll(`[name="${CSS.escape(ticks)}"]`)) box.checked = event.target.checked;
});

// data-when="FIELD=VALUE|VALUE": is shown while the field of its form has one of these values; others are not sent.
const showWhatApplies = (root) => {
  for (const part of root.querySelectorAll("[data-when]")) {
    const [name, values] = part.dataset.when.split("=");
    const form = part.closest("form");
    const fields = form.querySelectorAll(`[name="${CSS.escape(name)}"]`);
    const now = [...fields].filter((one) => !["checkbox", "radio"].includes(one.type) || one.checked).map((one) => one.value);
    const applies = values.split("|").some((value) => now.includes(value));
    part.hidden = !applies;
    if (part.matches("fieldset")) part.disabled = !applies;
  }
};
document.addEventListener("input", (event) => {
  const form = event.target.closest("form");
  if (form) showWhatApplies(form);
});

// <time>: by the clock of whoever reads, and as their country writes it, with UTC when it is pointed at.
const tellTimes = (root) => {
  const language = document.documentElement.lang;
  const [speech] = language.split("-");
  const country = navigator.languages.find((one) => one.split("-")[0] === speech) || language;
  for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
    time.title = time.textContent;
    const instant = new Date(time.dateTime);
    time.textContent = instant.toLocaleString(country, {
      year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
    });
  }
};

const prepare = (root) => {
  showWhatApplies(root);
  tellTimes(root);
};
document.addEventListener("DOMContentLoaded", () => {
  prepare(document);
  // A form that came back: to the first field that is wrong, however far down.
  const wrong = document.querySelector("main .is-invalid");
  if (!wrong) return;
  wrong.scrollIntoView({ block: "center" });
  wrong.focus({ preventScroll: true });
});
document.addEventListener("htmx:load", (event) => prepare(event.detail.elt.parentElement || document));
