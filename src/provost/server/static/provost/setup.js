// The link that the server printed has the token after #: into the field, and out of the address and the history.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const field = document.querySelector("[data-from-fragment]") && document.getElementById("field-setup_token");
  const token = window.location.hash.slice(1);
  if (!field || !token) return;
  field.value = decodeURIComponent(token);
  window.history.replaceState(null, "", window.location.pathname);
  document.getElementById("field-username").focus();
});
