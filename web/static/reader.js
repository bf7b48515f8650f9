// A page that comes back whole ("back"), or to which somebody comes back from another tab, is shown
// anew where its reader has another role, language or theme now. Typed text is kept as a draft.
(() => {
  "use strict";

  const { reader } = document.documentElement.dataset;

  async function look() {
    const answer = await fetch("/reader").catch(() => null);
    if (answer?.ok && (await answer.text()) !== reader) location.reload();
  }

  addEventListener("focus", look);
  addEventListener("pageshow", ({ persisted }) => {
    if (!persisted) return;
    // What was chosen and not asked for; the filters of the list are asked for at once.
    document.querySelectorAll("form[method=get]:not(#filters)").forEach((form) => form.reset());
    look();
  });
})();
