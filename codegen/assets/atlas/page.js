"use strict";
// Copy buttons, and what is larger than its place: the keyboard can scroll it.
(() => {
  async function copy(button) {
    const code = document.getElementById(button.dataset.copies);
    let done = true;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      const range = document.createRange();
      range.selectNodeContents(code);
      const selection = getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      done = document.execCommand("copy");
    }
    const usual = button.textContent;
    button.textContent = done ? "Copied" : "Selected";
    setTimeout(() => (button.textContent = usual), 1500);
  }

  // The kernels lie in a script beside the page, asked for when the first of them is opened.
  let asked;
  function kernels() {
    asked ??= new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = document.getElementById("kernels").dataset.script;
      script.addEventListener("load", () => done(globalThis.pminusyKernels));
      script.addEventListener("error", failed);
      document.body.append(script);
    });
    return asked;
  }

  for (const fold of document.querySelectorAll("details[data-key]")) {
    fold.addEventListener("toggle", async () => {
      const code = fold.querySelector("code[id]");
      if (!fold.open || code.textContent) return;
      try {
        code.textContent = (await kernels())[fold.dataset.key];
      } catch {
        code.textContent = `The file ${document.getElementById("kernels").dataset.script} is not beside this page.`;
      }
      reach();
    });
  }

  for (const button of document.querySelectorAll("button[data-copies]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      if (!["Copied", "Selected"].includes(button.textContent)) copy(button);
    });
  }

  const wide = document.querySelectorAll(".right, .left, .box, .names, pre, .formula, .scroll");
  function reach() {
    for (const element of wide) {
      const across = element.scrollWidth > element.clientWidth;
      if (across || element.scrollHeight > element.clientHeight) element.tabIndex = 0;
      else element.removeAttribute("tabindex");
    }
  }
  addEventListener("resize", reach);
  document.addEventListener("toggle", reach, true);
  reach();
})();
