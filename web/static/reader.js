// A page that comes back whole ("back"), or to which somebody comes back from another tab, is shown
// anew where its reader has another role, language or theme now. Typed text is kept as a draft.
(() => {
  "use strict";

  const { reader } = document.body.dataset;

  async function look() {
    // The entry says it in a few bytes, and asks no service.
    const answer = await fetch("/").catch(() => null);
    const [, now] = /data-reader="([^"]*)"/.exec(answer?.ok ? await answer.text() : "") ?? [];
    // Whatever else answers, such as a network's own entry, knows nothing of the reader.
    if (now && now !== reader) location.reload();
  }

  // Some browsers give the focus to each page that they load, too.
  addEventListener("blur", () => addEventListener("focus", look, { once: true }));
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) look();
  });
})();
