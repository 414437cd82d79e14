// Making a passkey, and signing in with one: asks the server for a challenge, the browser for an answer, and sends it with
// the form. Without scripts there are no passkeys, and their forms stay hidden.
"use strict";
(() => {
  if (!window.PublicKeyCredential?.parseCreationOptionsFromJSON) return;

  const answer = async (form) => {
    const asked = await fetch(form.dataset.options, {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
      redirect: "error",
    });
    if (!asked.ok) throw new Error(await asked.text());
    const options = await asked.json();
    if (form.dataset.passkey === "make") {
      return navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) });
    }
    return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = false;
    const said = form.querySelector("[role=alert]");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      said.hidden = true;
      try {
        const credential = await answer(form);
        form.elements.credential.value = JSON.stringify(credential.toJSON());
        if (form.elements.present) form.elements.present.value = "";
        form.submit();
      } catch (error) {
        // What browsers say when the person said no, or took too long.
        said.textContent = error.name === "NotAllowedError" ? "No passkey was chosen." : error.message;
        said.hidden = false;
      }
    });
  }
})();
