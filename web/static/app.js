// What htmx cannot do by itself: say what is new in the list, say what is not live.
// Everything here is a convenience: the pages work without it.
(() => {
  "use strict";

  // What nobody needs before touching the page comes with the first touch, which waits for it.
  const { later } = document.currentScript.dataset;
  let isHere = false;
  let coming;

  const come = () => coming ??= new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = later;
    script.onload = script.onerror = resolve;
    document.head.append(script);
  }).then(() => { isHere = true; });

  for (const touch of ["pointermove", "pointerdown", "keydown", "focusin", "scroll"]) {
    addEventListener(touch, come, { once: true, passive: true, capture: true });
  }

  addEventListener("click", (event) => {
    const pressed = event.target.closest?.("a, button");
    if (isHere || !pressed || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    come().then(() => pressed.click());
  }, true);

  for (const type of ["keydown", "input"]) {
    addEventListener(type, (event) => {
      if (isHere) return;
      const again = new event.constructor(type, event);
      come().then(() => event.target.dispatchEvent(again));
    }, true);
  }

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
    // A stream that is refused is asked for again; nobody has to read why.
    if (ctx.sourceElement.id === "stream" && ctx.response.status >= 400) tasks.length = 0;
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
    if (document.getElementById(`t${id}`)) return false;
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
    const rows = document.querySelectorAll("#rows [data-version]");
    const ids = [...rows].map((row) => Number(row.id.slice(1)));
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

  // Others at the ticket learn that somebody types, and nothing of what.
  const TYPING_PAUSE_MS = 3_000;
  let toldAt = -TYPING_PAUSE_MS;

  addEventListener("input", ({ target: box, timeStamp }) => {
    const presence = document.getElementById("presence");
    if (box.id !== "reply-text" || !presence || timeStamp < toldAt + TYPING_PAUSE_MS) return;
    toldAt = timeStamp;
    const { typing, page } = presence.dataset;
    fetch(typing, { method: "POST", body: new URLSearchParams({ page }) }).catch(() => {});
  });

  // Whether updates arrive: a page never looks live when it is not. The server speaks every 15 s.
  const SILENCE_MS = 35_000;
  let connection, silence;

  const say = (isLive) => {
    const offline = document.getElementById("offline");
    if (offline) offline.hidden = isLive;
    clearTimeout(silence);
    if (isLive) silence = setTimeout(again, SILENCE_MS);
  };

  // A connection of which nothing is heard may be dead without knowing; another one resumes.
  function again() {
    say(false);
    connection?.reader?.cancel();
    connection?.delayCanceller?.();
  }

  addEventListener("htmx:sse:after:connection", ({ detail }) => {
    connection = detail.connection;
  });
  addEventListener("htmx:sse:after:message", ({ detail }) => {
    say(detail.message.event !== "paused");
  });
  for (const name of ["htmx:sse:error", "offline"]) addEventListener(name, () => say(false));
  addEventListener("online", again);

  // htmx connects again after a stream that was lost, but not after one that never began.
  const AGAIN_MS = 2_000;
  for (const name of ["htmx:error", "htmx:response:error"]) {
    addEventListener(name, ({ target: stream }) => {
      if (stream.id !== "stream") return;
      say(false);
      setTimeout(() => htmx.trigger(stream, "again"), AGAIN_MS * (1 + Math.random()));
    });
  }
})();
