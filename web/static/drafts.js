// Text that is being typed survives a crash, a reload and a failed send, with what its form needs
// to be one ticket, one message, or an edit of the text that it started from.
// A box that holds a text of its own is never overwritten; what is typed last is what is kept: app.js
// keeps it at once, this brings it back and throws it away.
(() => {
  "use strict";

  const PREFIX = "draft-";
  const KEPT_MS = 30 * 24 * 3_600_000;
  const KEPT_MAX = 50;
  const nameOf = (box) => PREFIX + box.dataset.draft;
  const clean = (text) => (text ?? "").replaceAll("\r\n", "\n").trim();

  // Browsers may forbid to keep anything, and have room for so much: then there are no drafts.
  function read(name) {
    try {
      return JSON.parse(localStorage.getItem(name));
    } catch {
      return null;
    }
  }

  function write(name, draft) {
    try {
      if (draft) localStorage.setItem(name, JSON.stringify(draft));
      else localStorage.removeItem(name);
    } catch {
      // Nothing is lost yet: the text is in its box.
    }
  }

  function throwAwayOld() {
    let names = [];
    try {
      names = Object.keys(localStorage).filter((name) => name.startsWith(PREFIX));
    } catch {
      return;
    }
    const ages = names.map((name) => [Date.now() - (read(name)?.at ?? 0), name]).sort(
      ([one], [other]) => one - other);
    ages.forEach(([age, name], n) => {
      if (age > KEPT_MS || n >= KEPT_MAX) write(name, null);
    });
  }

  // Who sends is said by the page, not by the draft.
  const hiddenFields = (box) => box.form.querySelectorAll("input[type=hidden]:not([name=as])");
  const noteOf = (box) => box.parentElement.querySelector(".draft");

  function restore(box) {
    const draft = read(nameOf(box));
    if (!draft || (box.value && !("saved" in box.dataset))) return;
    box.value = draft.text;
    delete box.dataset.saved;
    for (const field of hiddenFields(box)) field.value = draft.fields[field.name] ?? field.value;
    box.closest("details")?.setAttribute("open", "");
    noteOf(box).hidden = false;
  }

  // A form that went without htmx has succeeded where its text is what the page shows.
  function forgetSent() {
    const shown = (selector) =>
      [...document.querySelectorAll(selector)].map((place) => clean(place.textContent));
    const id = location.pathname.match(/^\/tickets\/(\d+)$/)?.[1];
    if (!id) return;
    const places = [
      ["report", "#description"],
      [`description-${id}`, "#description"],
      [`message-${id}`, "#thread .text"],
    ];
    for (const [name, selector] of places) {
      const sent = read(PREFIX + name)?.sent;
      if (sent && shown(selector).includes(clean(sent))) forget(PREFIX + name, sent);
    }
  }

  // What was typed after it was sent is another text.
  function forget(name, sent) {
    const draft = read(name);
    if (draft && clean(draft.text) === clean(sent)) write(name, null);
  }

  // The form that was sent starts afresh; what was typed meanwhile comes back into it.
  addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
    const name = ctx.request?.form?.querySelector("[data-draft]")?.dataset.draft;
    const fresh = name && document.querySelector(`[data-draft="${name}"]`);
    if (fresh) restore(fresh);
  });

  // A live update may have put the saved text into an editor that was closed.
  addEventListener("toggle", ({ target }) => {
    if (target.open) target.querySelectorAll?.("[data-draft]").forEach(restore);
  }, true);

  addEventListener("submit", ({ target: form }) => {
    const box = form.querySelector("[data-draft]");
    const draft = box && read(nameOf(box));
    if (draft) write(nameOf(box), { ...draft, sent: box.value });
  }, true);

  addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
    if (ctx.request.method !== "POST" || ctx.response.status >= 400) return;
    const box = ctx.request.form?.querySelector("[data-draft]");
    if (box) forget(nameOf(box), ctx.request.body.get("text"));
  });

  addEventListener("click", ({ target }) => {
    if (!("discard" in (target.dataset ?? {}))) return;
    const box = target.form.querySelector("[data-draft]");
    write(nameOf(box), null);
    box.value = box.defaultValue;
    if (box.value) box.dataset.saved = "";
    hiddenFields(box).forEach((field) => (field.value = field.defaultValue));
    noteOf(box).hidden = true;
    box.focus();
  });

  addEventListener("htmx:error", ({ detail: { ctx } }) => {
    const alert = document.getElementById("alert");
    if (ctx?.request.method === "POST") alert.textContent = alert.dataset.away;
  });

  throwAwayOld();
  forgetSent();
  document.querySelectorAll("[data-draft]").forEach(restore);
})();
