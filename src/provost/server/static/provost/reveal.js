// A secret on a page: taken away after its time, and whenever somebody leaves.
"use strict";
(() => {
  const ABSENCE = 10_000; // milliseconds that the page may be out of sight
  let ticking = 0;
  let leaving = 0;

  // What holds a secret goes; who listens is told, if something was there.
  const takeAway = (which = "[data-secret]") => {
    window.clearInterval(ticking);
    window.clearTimeout(leaving);
    for (const shown of document.querySelectorAll(which)) {
      const dialog = shown.closest("[data-reveals]");
      shown.remove();
      if (!dialog) continue;
      dialog.querySelector("form").hidden = false;
      dialog.querySelector("[data-status]").textContent = dialog.dataset.gone;
      document.getElementById("revealed").textContent = dialog.dataset.gone;
    }
  };

  const show = (shown) => {
    const dialog = shown.closest("[data-reveals]");
    if (!dialog.open || document.hidden) return takeAway();
    const ends = Date.now() + Number(shown.dataset.seconds) * 1000;
    dialog.querySelector("form").hidden = true;
    dialog.querySelector("[data-status]").textContent = shown.dataset.told;
    shown.querySelector("[data-copies]").focus();
    window.clearInterval(ticking);
    ticking = window.setInterval(() => {
      const left = Math.ceil((ends - Date.now()) / 1000);
      if (left <= 0) takeAway();
      else shown.querySelector("[data-left]").textContent = left;
    }, 250);
  };

  document.addEventListener("htmx:afterSwap", (event) => {
    const shown = event.detail.target.querySelector("[data-secret]");
    if (shown) show(shown);
  });
  // The visitor's own password does not stay either, whatever became of the question.
  document.addEventListener("htmx:afterRequest", (event) => {
    const own = event.target.closest("[data-reveals]")?.querySelector("[name=password]");
    if (own) own.value = "";
  });
  document.addEventListener("DOMContentLoaded", () => {
    for (const dialog of document.querySelectorAll("[data-reveals]")) {
      dialog.addEventListener("close", () => {
        takeAway();
        document.getElementById("revealed").replaceChildren();
      });
    }
  });
  document.addEventListener("visibilitychange", () => {
    window.clearTimeout(leaving);
    // What is shown once, as a token, stays: whoever copies it goes elsewhere with it, and comes back for the rest.
    if (document.hidden) leaving = window.setTimeout(() => takeAway("[data-reveals] [data-secret]"), ABSENCE);
  });
  window.addEventListener("pagehide", () => takeAway());
})();
