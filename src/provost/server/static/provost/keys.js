// Security keys and passkeys: django-allauth's scripts do it, and this tells them which form a page has.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const { forms } = window.allauth.webauthn;
  const ids = { credential: "key-credential", data: "key-data" };
  if (document.querySelector("[data-passkey]")) forms.loginForm({ ids: { login: "passkey-login", credential: "passkey-credential" } });
  if (document.querySelector("[data-key]")) forms.authenticateForm({ ids: { ...ids, authenticate: "key-authenticate" } });
  if (document.querySelector("[data-new-key]")) forms.addForm({ ids: { ...ids, add: "key-add", passwordless: "key-passwordless" } });
});
document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  document.getElementById("key-fault").hidden = false;
});
