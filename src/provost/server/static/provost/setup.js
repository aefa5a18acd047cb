// The link that the server printed has the token after #: into the field, and out of the address and the history.
// Should the server refuse a password, the token is there again: the tab keeps it from one form to the next.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const field = document.querySelector("[data-from-fragment]") && document.getElementById("field-setup_token");
  if (!field) return;
  const kept = window.sessionStorage.getItem("provost-setup") || "";
  window.sessionStorage.removeItem("provost-setup");
  field.form.addEventListener("submit", () => window.sessionStorage.setItem("provost-setup", field.value));
  const token = decodeURIComponent(window.location.hash.slice(1));
  if (!token && !kept) return;
  field.value = token || kept;
  window.history.replaceState(null, "", window.location.pathname);
  if (!document.querySelector("main .is-invalid")) document.getElementById("field-username").focus();
});
