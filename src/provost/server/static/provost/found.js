// data-ticked: a form with boxes to tick; data-ticks-all ticks them all, data-ticked-count says how many are.
"use strict";
document.addEventListener("change", (event) => {
  const form = event.target.closest("[data-ticked]");
  if (!form) return;
  const boxes = [...form.querySelectorAll("[name=accounts]")];
  const all = form.querySelector("[data-ticks-all]");
  if (event.target === all) for (const box of boxes) box.checked = all.checked;
  const count = boxes.filter((box) => box.checked).length;
  all.checked = count === boxes.length;
  all.indeterminate = count > 0 && count < boxes.length;
  form.querySelector("[data-ticked-count]").textContent = String(count);
});
