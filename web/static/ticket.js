// A ticket's page: canned replies come in at the caret, and an open editor learns at once that
// somebody else has changed what it started from. Both work without this, one page later.
(() => {
  "use strict";

  addEventListener("click", async (event) => {
    if (event.target.id !== "insert") return;
    event.preventDefault();
    const box = document.getElementById("reply-text");
    const answer = await fetch(`/replies/${document.getElementById("canned").value}`)
      .catch(() => null);
    if (!answer?.ok) {
      const alert = document.getElementById("alert");
      alert.textContent = alert.dataset.away;
      return;
    }
    box.focus();
    box.setRangeText(await answer.text(), box.selectionStart, box.selectionEnd, "end");
    box.dispatchEvent(new InputEvent("input", { bubbles: true }));
  });

  function sayChanged() {
    const changed = document.getElementById("changed");
    const was = document.querySelector("#editor[open] [name=was]");
    if (changed) changed.hidden = !was || was.value === changed.dataset.was;
  }

  addEventListener("htmx:after:swap", sayChanged);
  addEventListener("toggle", sayChanged, true);

  // Others at the ticket learn that somebody types, and nothing of what.
  const TYPING_PAUSE_MS = 3_000;
  let toldAt = -TYPING_PAUSE_MS;

  addEventListener("input", ({ target: box, timeStamp }) => {
    const presence = document.getElementById("presence");
    if (box.id !== "reply-text" || !presence || timeStamp < toldAt + TYPING_PAUSE_MS) return;
    toldAt = timeStamp;
    const { typing, page } = presence.dataset;
    fetch(typing, { method: "POST", body: new URLSearchParams({ page }) }).then((answer) => {
      if (answer.status === 429) toldAt += waitMs(answer);
    }).catch(() => {});
  });
})();
