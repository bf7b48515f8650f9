// What htmx cannot do by itself: fetch the other scripts in time, keep what is older out.
// Everything here is a convenience: the pages work without it.
(() => {
  "use strict";

  // What nobody needs before touching the page, or before news, comes with the first of them, which
  // waits for it.
  const PATIENCE_MS = 3_000;
  const { later } = document.currentScript.dataset;
  let isHere = false;
  let coming;

  const come = () => coming ??= new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = later;
    script.onload = script.onerror = resolve;
    // On a network that hangs the page works as without it.
    setTimeout(resolve, PATIENCE_MS);
    document.head.append(script);
  }).then(() => { isHere = true; });

  for (const touch of ["pointermove", "pointerdown", "keydown", "focusin", "scroll"]) {
    addEventListener(touch, come, { once: true, passive: true, capture: true });
  }

  addEventListener("click", (event) => {
    const pressed = event.target.closest?.("a, button");
    // A chart's link is followed at once: SVG knows no click().
    if (isHere || !pressed?.click || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    come().then(() => pressed.click());
  }, true);

  for (const type of ["keydown", "input", "ticket", "stale"]) {
    addEventListener(type, (event) => {
      if (isHere) return;
      const { target } = event;
      const again = new event.constructor(type, event);
      // An earlier key may have moved the focus by then.
      come().then(() => {
        (target === document.body ? document.activeElement : target).dispatchEvent(again);
      });
    }, true);
  }

  // Typed text is kept at once, with what its form needs; drafts.js does the rest.
  addEventListener("input", ({ target: box }) => {
    if (!box.dataset?.draft) return;
    delete box.dataset.saved;
    const name = `draft-${box.dataset.draft}`;
    const hidden = [...box.form.querySelectorAll("input[type=hidden]")];
    const fields = Object.fromEntries(hidden.map((field) => [field.name, field.value]));
    const isNothing = !box.value.trim() || box.value === box.defaultValue;
    try {
      if (isNothing) localStorage.removeItem(name);
      else localStorage.setItem(name, JSON.stringify({ text: box.value, at: Date.now(), fields }));
    } catch {
      // No room, or forbidden: the text is in its box.
    }
  });

  // Drafts come back, and after "back" the focus does.
  addEventListener("DOMContentLoaded", () => {
    try {
      if (localStorage.length || history.state?.row) come();
    } catch {
      // Browsers may forbid to look.
    }
  });

  // Live updates never put an older state in place of a newer one.
  const isOlder = (next, now) => Number(next?.dataset?.version) < Number(now?.dataset?.version);

  htmx.registerExtension("newest", {
    htmx_before_morph_node: (_, { oldNode, newNode }) => !isOlder(newNode, oldNode),
  });

  // A ticket's parts are one state: all of them come in, or none. What a form puts in place of
  // itself, and what the page says about it, comes in anyway.
  addEventListener("htmx:before:swap", (event) => {
    const { ctx, tasks } = event.detail;
    const heads = tasks.map((task) => task.fragment.querySelector("#seen")).filter(Boolean);
    const seen = document.getElementById("seen");
    if (!heads.length || !seen) return;
    const ahead = Number(heads[0].value) - Number(seen.value);
    if (ctx.sourceElement.id === "stream") {
      if (ahead <= 0) tasks.length = 0;
    } else if (ahead < 0) {
      tasks.splice(0, tasks.length, ...tasks.filter((t) => t.swapSpec.style !== "outerMorph"));
    }
  });
})();
