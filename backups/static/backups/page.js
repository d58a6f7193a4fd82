"use strict";
// Only what a page without scripts can't do: times and numbers as the reader writes them, and
// progress. Everything else is plain forms.

(() => {
  const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const numbers = new Intl.NumberFormat();

  const clocks = {
    date: new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }),
    clock: new Intl.DateTimeFormat(undefined, { timeStyle: "short" }),
    minute: new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" }),
    day: new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" }),
    month: new Intl.DateTimeFormat(undefined, { month: "short", year: "numeric" }),
  };

  function localise(root) {
    for (const each of root.querySelectorAll("time[data-clock]")) {
      each.textContent = clocks[each.dataset.clock].format(new Date(each.dateTime));
    }
    for (const each of root.querySelectorAll("text[data-day]")) {
      each.textContent = clocks[each.dataset.precision].format(new Date(each.dataset.day));
    }
    for (const each of root.querySelectorAll("text[data-value]")) {
      each.textContent = `${numbers.format(each.dataset.value)} ${each.dataset.unit}`;
    }
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

// A part of a page that is asked for again and again, while work goes on.
(() => {
  const polls = (elt) => (elt.getAttribute("hx-trigger") || "").startsWith("every");
  // What has changed is said once, in a place that stays: readers don't hear what is swapped in.
  document.addEventListener("htmx:load", () => {
    const place = document.getElementById("said");
    const says = document.querySelector("[data-say]");
    if (place && says && place.textContent !== says.textContent) {
      place.textContent = says.textContent;
    }
  });
  // An error has no such part. If the server fails, e.g. as it starts again, ask on.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { elt, xhr } = event.detail;
    if (!polls(elt) || xhr.status < 400) return;
    event.detail.shouldSwap = false;
    if (xhr.status < 500) location.reload();
  });
  if (!window.htmx && document.querySelector("[hx-trigger^=every]")) {
    setTimeout(() => location.reload(), 2000);
  }
})();

// The upload form: drop a file, see how it goes, cancel. htmx sends it.
(() => {
  const form = document.getElementById("upload");
  if (!form || !window.htmx) return;
  const part = (id) => document.getElementById(id);
  const words = part("upload-words").dataset;
  const file = part("file");
  let isCancelled = false;
  let job = form.dataset.job;  // its id, which the page chooses: each try is a job of its own

  function show(isSending) {
    part("uploading").hidden = part("upload-cancel").hidden = !isSending;
    part("upload-begin").disabled = file.disabled = isSending;
  }

  function complain(sentence, tone = "bad") {
    part("upload-problem").className = `note ${tone}`;
    part("upload-problem").textContent = sentence;
    part("upload-problem").hidden = !sentence;
  }

  function chosen() {
    const isTooLarge = file.files.length > 0 && file.files[0].size > Number(form.dataset.most);
    complain(isTooLarge ? words.tooLarge : "");
    return !isTooLarge;
  }

  // Not crypto.randomUUID, which a site without TLS lacks.
  function newId() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }

  // What the line does, in the reader's own numbers: 12.3 MB of 500.1 MB.
  const megabytes = new Intl.NumberFormat(undefined, {
    style: "unit", unit: "megabyte", maximumFractionDigits: 1,
  });

  file.addEventListener("change", chosen);
  part("upload-cancel").addEventListener("click", () => {
    isCancelled = true;
    htmx.trigger(form, "htmx:abort");
  });

  for (const name of ["dragenter", "dragover"]) {
    part("drop").addEventListener(name, (event) => {
      event.preventDefault();
      part("drop").classList.add("over");
    });
  }
  for (const name of ["dragleave", "drop"]) {
    part("drop").addEventListener(name, () => part("drop").classList.remove("over"));
  }
  part("drop").addEventListener("drop", (event) => {
    event.preventDefault();
    if (!file.disabled && event.dataTransfer.files.length) {
      file.files = event.dataTransfer.files;
      chosen();
    }
  });

  form.addEventListener("htmx:confirm", (event) => {
    if (!chosen()) event.preventDefault();
  });
  form.addEventListener("htmx:configRequest", (event) => {
    if (job === null) job = newId();
    event.detail.path = event.detail.path.replace(form.dataset.job, job);
  });
  form.addEventListener("htmx:beforeSend", () => {
    isCancelled = false;
    complain("");
    show(true);
  });
  form.addEventListener("htmx:xhr:progress", (event) => {
    const { loaded, total } = event.detail;
    if (!total || event.detail.elt !== form) return;
    part("upload-bar").value = loaded / total;
    part("upload-sent").textContent =
      `${megabytes.format(loaded / 1e6)} / ${megabytes.format(total / 1e6)}`;
    if (loaded === total) part("upload-state").textContent = words.received;
  });
  form.addEventListener("htmx:sendAbort", () => {
    show(false);
    complain(words.cancelled, "warn");
    job = null;
  });
  // The server may have refused it and hung up: its reason is on the page of the job.
  form.addEventListener("htmx:sendError", () => {
    if (isCancelled) return;
    show(false);
    complain(words.broken);
    const page = form.dataset.page.replace(form.dataset.job, job);
    job = null;
    fetch(page, { redirect: "manual" }).then((answer) => {
      if (answer.ok) location.assign(page);
    }, () => {});
  });
})();
