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
})();
