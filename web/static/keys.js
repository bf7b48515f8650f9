// Single keys for those who work in the list all day; `?` lists them, and a switch turns them off.
(() => {
  "use strict";

  const byId = (id) => document.getElementById(id);
  const OFF = "keys-off";
  const FIELDS = "input:not([type=checkbox]), textarea, select, [contenteditable]";

  function openDialog() {
    const dialog = byId("keys");
    if (!dialog) return;
    byId("keys-on").checked = !localStorage.getItem(OFF);
    dialog.showModal();
  }

  addEventListener("click", ({ target }) => {
    if (target.id === "keys-button") openDialog();
  });

  addEventListener("change", ({ target }) => {
    if (target.id !== "keys-on") return;
    if (target.checked) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "1");
  });

  const rows = () => [...document.querySelectorAll("#rows > .row")];
  const focused = () => document.activeElement?.closest("#rows > .row");

  // From no row: to the first one that can be seen.
  function step(by) {
    const all = rows();
    const at = all.indexOf(focused());
    const seen = all.findIndex((row) => row.getBoundingClientRect().top >= 0);
    const link = all[at < 0 ? Math.max(seen, 0) : at + by]?.querySelector("a");
    link?.focus();
    link?.closest(".row").scrollIntoView({ block: "nearest" });
  }

  const tell = (what) => focused()?.dispatchEvent(
    new CustomEvent("row", { bubbles: true, detail: what }));

  function start() {
    if (byId("start")) byId("start").click();
    else tell("active");
  }

  // On a ticket's page the button does it; closing cannot be undone, so it takes a second key.
  function close() {
    const button = byId("close");
    if (!button) tell("closed");
    else if (document.activeElement === button) button.click();
    else button.focus();
  }

  function toList() {
    const { origin, pathname } = new URL(document.referrer || location);
    if (origin === location.origin && pathname === "/tickets") history.back();
    else document.querySelector(".crumb a")?.click();
  }

  const KEYS = {
    "?": openDialog,
    "/": () => byId("q")?.select(),
    j: () => step(1),
    k: () => step(-1),
    r: () => byId("reply-text")?.focus(),
    u: toList,
    n: () => byId("next-ticket")?.click(),
    x: () => focused()?.querySelector("[name=ticket]")?.click(),
    s: start,
    c: close,
  };

  addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (localStorage.getItem(OFF) || document.querySelector("dialog[open]")) return;
    if (target.closest?.(FIELDS)) {
      if (key !== "Escape") return;
      // A search box would be emptied first.
      event.preventDefault();
      target.blur();
    } else if (key === "Enter" && !event.isTrusted) {
      // A key that waited for this script (app.js) does nothing by itself.
      target.click?.();
    } else if (Object.hasOwn(KEYS, key) && (!event.repeat || key === "j" || key === "k")) {
      event.preventDefault();
      KEYS[key]();
    }
  });
})();
