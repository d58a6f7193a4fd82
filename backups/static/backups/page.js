"use strict";
// Only what a page without scripts can't do: times and numbers as the reader writes them.

(() => {
  const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const numbers = new Intl.NumberFormat();

  function localise(root) {
    for (const each of root.querySelectorAll("time[data-moment]")) {
      each.textContent = moments.format(new Date(each.dateTime));
    }
    for (const each of root.querySelectorAll("data[data-number]")) {
      each.textContent = numbers.format(each.value);
    }
  }

  localise(document);
  document.addEventListener("htmx:load", (event) => localise(event.detail.elt));
})();
