"use strict";
// The search box: every word has to occur in what a card says.
(() => {
  const box = document.getElementById("search");
  const count = document.getElementById("count");
  const cards = [...document.querySelectorAll("[data-words]")];
  const families = [...document.querySelectorAll(".family")];

  function filter() {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const card of cards) {
      card.hidden = !words.every((word) => card.dataset.words.includes(word));
      shown += card.hidden ? 0 : 1;
    }
    for (const family of families) family.hidden = !family.querySelector("[data-words]:not([hidden])");
    count.textContent = shown === 1 ? "1 loss" : `${shown} losses`;
  }

  box.closest("form").hidden = false;
  box.closest("form").addEventListener("submit", (event) => event.preventDefault());
  box.addEventListener("input", filter);
  document.addEventListener("keydown", (event) => {
    const typing = /^(input|textarea|select)$/i.test(event.target.tagName);
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    box.focus();
  });
  filter();
})();
