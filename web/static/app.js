// What htmx cannot do by itself: keep drafts, say what is new in the list, say what is not live.
// Everything here is a convenience: the pages work without it.
(() => {
  "use strict";

  // Drafts: text that is being typed survives a reload, with the key that makes it one ticket.
  const draftName = (box) => `draft-${box.dataset.draft}`;

  addEventListener("DOMContentLoaded", () => {
    for (const box of document.querySelectorAll("[data-draft]")) {
      const draft = JSON.parse(sessionStorage.getItem(draftName(box)) ?? "null");
      if (draft && !box.value) {
        box.value = draft.text;
        box.form.elements.key.value = draft.key;
      }
    }
  });

  addEventListener("input", ({ target: box }) => {
    if (!box.dataset?.draft) return;
    const draft = { text: box.value, key: box.form.elements.key.value };
    sessionStorage.setItem(draftName(box), JSON.stringify(draft));
  });

  addEventListener("htmx:after:request", ({ target: form, detail: { ctx } }) => {
    if (form.tagName !== "FORM" || ctx.response.status >= 400) return;
    const box = form.querySelector("[data-draft]");
    if (box) sessionStorage.removeItem(draftName(box));
  });

  addEventListener("htmx:error", ({ detail: { ctx } }) => {
    if (ctx?.request.method === "POST") {
      document.getElementById("alert").textContent =
        "There is no connection. Your text is still here; please try again in a moment.";
    }
  });

  // The list: rows never move by themselves; a line says how many tickets are new or changed.
  const plural = (n, what) => (n ? [`${n} ${what}`] : []);

  addEventListener("ticket", ({ target: live, detail }) => {
    if (live.dataset.live !== "list") return;
    const { id, version, what } = JSON.parse(detail.data);
    if (document.getElementById(`t${id}`)?.dataset.version >= version) return;
    live.fresh ??= new Set();
    live.changed ??= new Set();
    if (what === "ticket.opened") live.fresh.add(id);
    else if (!live.fresh.has(id)) live.changed.add(id);
    const parts = [...plural(live.fresh.size, "new"), ...plural(live.changed.size, "changed")];
    showNews(`${parts.join(", ")} – show`);
  });

  addEventListener("stale", ({ target: live }) => {
    if (live.dataset.live === "list") showNews("There may be changes – show");
  });

  function showNews(text) {
    const news = document.getElementById("news");
    news.textContent = text;
    news.classList.remove("quiet");
  }

  // Whether updates arrive: a page never looks live when it is not.
  const say = (isLive) => ({ target }) => {
    if (target.id === "live") target.classList.toggle("paused", !isLive);
  };

  for (const name of ["htmx:sse:after:connection", "stale", "ticket"]) {
    addEventListener(name, say(true));
  }
  for (const name of ["htmx:sse:error", "paused"]) addEventListener(name, say(false));
})();
