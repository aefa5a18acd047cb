// The form of a push: choosing assets and nodes, showing a secret, and what a preview was made of.
"use strict";

const tellPicker = (element) => element.closest("[data-picker]").dispatchEvent(new Event("change", { bubbles: true }));

// data-picks="NAME": the asset becomes a chip.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-picks]");
  if (!button) return;
  const picker = button.closest("[data-picker]");
  const chosen = [...picker.querySelectorAll("[name='spec.assets']")].map((one) => one.value);
  if (!chosen.includes(button.dataset.picks)) {
    const chip = picker.querySelector("[data-chip]").content.cloneNode(true);
    chip.querySelector(".told").textContent = button.dataset.picks;
    chip.querySelector("input").value = button.dataset.picks;
    const drop = chip.querySelector("[data-drops]");
    drop.setAttribute("aria-label", `${drop.getAttribute("aria-label")} ${button.dataset.picks}`);
    picker.querySelector("[data-chips]").append(chip);
  }
  const search = picker.querySelector("[data-search]");
  search.value = "";
  document.getElementById("asset-results").replaceChildren();
  search.focus();
  tellPicker(picker);
});

// data-drops: the chip goes.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-drops]");
  if (!button) return;
  const picker = button.closest("[data-picker]");
  button.closest("li").remove();
  picker.querySelector("[data-search]").focus();
  tellPicker(picker);
});

// data-search: Enter and the down key lead to what was found, and send no form.
document.addEventListener("keydown", (event) => {
  if (!event.target.matches("[data-search]") || !["Enter", "ArrowDown"].includes(event.key)) return;
  event.preventDefault();
  const first = document.querySelector("[data-picks]");
  if (first) first.focus();
});

// data-tree: a node that is chosen means all below it, which need not be chosen themselves.
const includeBelow = (root) => {
  for (const box of root.querySelectorAll("[data-tree] input[type=checkbox]")) {
    const above = box.closest("ul").closest("li");
    const parent = above && above.querySelector(":scope > label > input");
    const isMeant = Boolean(parent && (parent.checked || parent.indeterminate));
    box.indeterminate = isMeant;
    box.disabled = isMeant;
  }
};
document.addEventListener("change", (event) => {
  if (event.target.closest("[data-tree]")) includeBelow(document);
});

// data-shows="ID": a secret in clear, or hidden again.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-shows]");
  if (!button) return;
  const field = document.getElementById(button.dataset.shows);
  const shown = field.type === "password";
  field.type = shown ? "text" : "password";
  button.setAttribute("aria-pressed", String(shown));
});

// data-stale: said when the form is no longer what was previewed. data-said: what data-says says.
document.addEventListener("input", (event) => {
  if (event.target.matches("[data-search]") || event.target.closest("#save")) return;
  tellStale(event);
});
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-picker]")) tellStale(event);
});
const tellStale = (event) => {
  const form = event.target.closest("[data-push]");
  for (const one of form ? form.querySelectorAll("[data-stale]") : []) one.hidden = false;
};
document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-opens]")) return;
  const says = document.querySelector("[data-says]");
  for (const one of document.querySelectorAll("[data-said]")) one.textContent = says ? says.textContent : "";
});

const prepareForm = () => {
  includeBelow(document);
};
document.addEventListener("DOMContentLoaded", prepareForm);

// After the form was sent: to what is wrong, or to the preview.
document.addEventListener("htmx:afterSettle", (event) => {
  if (!event.detail.elt.matches("[data-push]")) return;
  prepareForm();
  const form = event.detail.elt;
  const next = form.querySelector(".is-invalid") || form.querySelector("[role=alert], [data-preview]");
  if (!next) return;
  next.scrollIntoView({ block: "center" });
  if (next.matches("input, select, textarea, [tabindex]")) next.focus({ preventScroll: true });
});
