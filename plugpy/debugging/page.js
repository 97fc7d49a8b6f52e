"use strict";
// The only thing that needs a script: without one the text can be selected by hand.
const button = document.getElementById("copy");
const text = document.getElementById("markdown");
button.hidden = false;
button.addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(text.value);
    button.textContent = "Copied";
  } catch {
    text.select();
    button.textContent = "Selected: copy it with the keyboard";
  }
});
