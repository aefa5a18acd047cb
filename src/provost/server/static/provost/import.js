// data-forgets="ID": what was shown for a form is gone as soon as something else is in it.
"use strict";
document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-forgets]");
  if (form) document.getElementById(form.dataset.forgets).replaceChildren();
});
