// How long a text is, near its limit. It is said when typing pauses, so that nobody has to hear it at
// each letter; nothing is ever cut, and the server decides. It counts in the same way.
(() => {
  "use strict";

  const NEAR = 0.9;
  const PAUSE_MS = 400;
  let pause;

  // Characters, not UTF-16's halves of them, without the space around. Only trim() takes a
  // byte-order mark for space.
  const count = (text) => [...text.replaceAll("\uFEFF", "x").trim()].length;

  function show(box) {
    const place = box.parentElement.querySelector(".count");
    const most = Number(box.dataset.most);
    const n = box.value.length < most * NEAR ? 0 : count(box.value);
    const { near, over } = place.dataset;
    const words = n > most ? over : n < most * NEAR ? "" : near;
    const figures = { over: n - most, most, n };
    const text = words.replace(/#([a-z]+)/g, (_, name) =>
      figures[name].toLocaleString(document.documentElement.lang));
    if (place.textContent !== text) place.textContent = text;
    place.classList.toggle("error", n > most);
  }

  const showAll = () => document.querySelectorAll("[data-most]").forEach(show);

  addEventListener("input", ({ target: box }) => {
    if (!box.dataset?.most) return;
    clearTimeout(pause);
    pause = setTimeout(show, PAUSE_MS, box);
  });
  addEventListener("htmx:after:swap", showAll);

  // Hints need the beginning only, and proxies take no address of more than 8 kB.
  const HINTED_MAX = 1_000;
  const ADDRESS_MAX_BYTES = 6_000;

  addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
    if (ctx.request.method !== "GET" || !ctx.sourceElement.dataset?.most) return;
    const typed = [...ctx.request.body.get("text")];
    let text, most = HINTED_MAX;
    do {
      text = typed.slice(0, most).join("");
      most = Math.floor(most * 0.8);
    } while (new URLSearchParams({ text }).toString().length > ADDRESS_MAX_BYTES);
    ctx.request.body.set("text", text);
  });

  showAll();
})();
