// data-removes-row: takes the row that it is in away.
"use strict";
document.addEventListener("click", (event) => {
  event.target.closest("[data-removes-row]")?.closest("[data-row]").remove();
});
