// Before anything is drawn: light or dark, as it was chosen here, or as the system has it.
"use strict";
(() => {
  const chosen = window.localStorage.getItem("provost-theme");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const show = () => document.documentElement.setAttribute("data-bs-theme", chosen || (dark.matches ? "dark" : "light"));
  show();
  dark.addEventListener("change", show);
})();
