// The list: how far it was scrolled stays in the address, ticks make a bulk bar, focus stays put.
(() => {
  "use strict";

  const byId = (id) => document.getElementById(id);
  const rows = () => [...document.querySelectorAll("#rows > .row")];
  const ticks = () => [...document.querySelectorAll("#rows input[name=ticket]")];

  // Back, or a reload, comes to the row that was opened last; the browser restores the scroll.
  addEventListener("click", ({ target }) => {
    const row = target.closest?.("#rows > .row");
    if (row && target.closest("a")) {
      history.replaceState({ ...history.state, row: row.id }, "");
    }
  });

  byId(history.state?.row)?.querySelector("a").focus({ preventScroll: true });

  let place = -1;
  let inBar = false;

  addEventListener("htmx:before:swap", ({ detail: { ctx, tasks } }) => {
    const row = document.activeElement?.closest("#rows > .row");
    place = row ? rows().indexOf(row) : -1;
    inBar = Boolean(document.activeElement?.closest(".bulk"));
    if (ctx.sourceElement.id !== "more-link") return;
    // A ticket that moved down since its row was shown is not shown twice.
    for (const { fragment } of tasks) {
      for (const row of fragment.querySelectorAll(".row")) if (byId(row.id)) row.remove();
    }
  });

  addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
    const source = ctx.sourceElement.id;
    if (source === "more-link") {
      const address = new URL(location);
      address.searchParams.set("rows", rows().length);
      history.replaceState(history.state, "", address);
    }
    if (source === "bulk" && !ctx.values?.ticket && ctx.response.status < 400) {
      for (const tick of ticks()) tick.checked = false;
    }
    showTicked();
    if (inBar && source === "bulk") {
      (byId("all") ?? byId("tickets-title")).focus();
    } else if (place >= 0 && document.activeElement === document.body) {
      const row = rows()[place] ?? rows().at(-1);
      (row?.querySelector("a") ?? byId("tickets-title")).focus();
    }
  });

  function showTicked() {
    const all = byId("all");
    if (!all) return;
    const n = ticks().filter((tick) => tick.checked).length;
    all.checked = n > 0 && n === ticks().length;
    all.indeterminate = n > 0 && !all.checked;
    const { one, many } = byId("ticked").dataset;
    const text = n === 0 ? "" : n === 1 ? one : many.replace("#", n);
    if (byId("ticked").textContent !== text) byId("ticked").textContent = text;
  }

  addEventListener("change", ({ target }) => {
    if (target.id === "all") for (const tick of ticks()) tick.checked = target.checked;
    if (target.form?.id === "bulk") showTicked();
  });

  // One ticket, by a key or from its category; or, without a row, those that are ticked.
  function change(what, row) {
    const values = { do: what, ...(row && { ticket: row.id.slice(1) }) };
    const source = byId("bulk");
    htmx.ajax("POST", source.action, { source, swap: "none", values });
  }

  async function ask(dialog, row) {
    const ids = row ? [row.id.slice(1)] : ticks().filter((t) => t.checked).map((t) => t.value);
    dialog.querySelector(".which").textContent = ids.map((id) => `#${id}`).join(", ");
    dialog.returnValue = "";
    dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    if (dialog.returnValue) change(dialog.returnValue, row);
  }

  addEventListener("click", (event) => {
    const { target } = event;
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    const category = target.closest?.("a.category");
    if (category) ask(byId("recategorise"), category.closest(".row"));
    else if (target.id === "bulk-close" && ticks().some((t) => t.checked)) ask(byId("sure"));
    // What Enter in a tick box presses does nothing, but htmx would send the form.
    else if (!target.matches?.("#bulk > [formmethod]")) return;
    event.preventDefault();
    event.stopPropagation();
  }, { capture: true });

  addEventListener("row", ({ target: row, detail: what }) => {
    if (!byId("bulk")) return;
    if (what === "closed") ask(byId("sure"), row);
    else change(what, row);
  });

  // What was told to wait asks nothing until then. A search asks again by itself, for what stands in
  // it by then; hints stay as they are, and come with the next letters.
  const waiting = new Set();

  addEventListener("htmx:before:request", (event) => {
    if (waiting.has(event.detail.ctx.sourceElement)) event.preventDefault();
  });

  addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
    const { sourceElement: source, request, response } = ctx;
    if (response.status !== 429 || request.method !== "GET") return;
    waiting.add(source);
    setTimeout(() => {
      waiting.delete(source);
      source.requestSubmit?.();
    }, waitMs(response));
  });

  // The list: rows change in place and never move; a line says how many tickets it does not show.
  const fresh = new Set();

  addEventListener("ticket", ({ detail }) => {
    const ticket = JSON.parse(detail.data);
    const news = document.getElementById("news");
    if (news.classList.contains("quiet")) fresh.clear();
    if (wouldShow(ticket)) fresh.add(ticket.id);
    else fresh.delete(ticket.id);
    if (fresh.size) {
      const { one, many } = news.dataset;
      showNews(fresh.size === 1 ? one : many.replace("#", fresh.size));
    }
  });

  addEventListener("stale", () => showNews(document.getElementById("news").dataset.maybe));

  // Whether the list, asked for again, would have a row that it does not have now. Of a search only
  // titles can be compared.
  function wouldShow({ id, status, category, opened_at: openedAt, title }) {
    // Of a closed ticket users hear no more than that.
    if (document.getElementById(`t${id}`) || !category) return false;
    const query = new URLSearchParams(location.search);
    const wanted = (name, otherwise) => query.getAll(name).filter(Boolean).concat(
      query.get(name) ? [] : otherwise);
    const statuses = wanted("status", ["open", "active"]);
    const categories = wanted("category", [category]);
    const words = plain(query.get("q") ?? "").split(/\s+/).filter(Boolean);
    const [from, to] = [query.get("opened_from"), query.get("opened_to")];
    return (
      (statuses.includes("all") || statuses.includes(status)) &&
      categories.includes(category) &&
      (!from || new Date(openedAt) >= new Date(from)) &&
      (!to || new Date(openedAt) < new Date(to)) &&
      (!words.length || words.some((word) => plain(title).includes(word))) &&
      !query.get("cursor") &&
      id > oldestShown()
    );
  }

  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

  // Older tickets than this one are on pages that are not shown. In another order than that of
  // their coming only those are known to be new that came after all that are shown.
  function oldestShown() {
    if (!document.querySelector("#more-link[href]")) return 0;
    const ids = rows().map((row) => Number(row.id.slice(1)));
    return new URLSearchParams(location.search).get("sort") ? Math.max(...ids) : Math.min(...ids);
  }

  function showNews(text) {
    const news = document.getElementById("news");
    if (!news) return;
    if (news.classList.contains("quiet")) {
      document.getElementById("said").textContent = news.dataset.said;
    }
    news.textContent = text;
    news.classList.remove("quiet");
  }

  showTicked();
})();
