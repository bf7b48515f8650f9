// The page's stream of updates: open while somebody looks at the page, asked for again in growing
// pauses when it is lost, shared out among a browser's pages. htmx puts in what it brings.
(() => {
  "use strict";

  const PAUSE_MAX_MS = 30_000;
  // A stream that held this long was a good one: the next pause is short again.
  const STEADY_MS = 30_000;
  // A server that asks for more may be back before.
  const RETRY_AFTER_MAX_MS = 600_000;
  const PATIENCE_MS = 10_000;
  const HIDDEN_MS = 5_000;
  // The server speaks every 15 s.
  const SILENCE_MS = 35_000;
  // A browser has six connections to a server without HTTP/2, for all its pages. These four are
  // for the pages that were opened or touched last; others that are in sight look in now and then.
  const PLACES = 4;
  const LOOK_IN_EVERY_MS = 4_000;
  const LOOK_IN_MS = 1_000;
  // What this site refuses with another 4xx is refused for good, which is said once.
  const MAY_PASS = [408, 425, 429];

  const byId = (id) => document.getElementById(id);
  const wanted = () => byId("stream")?.dataset.stream;

  // Of the stream that is open or asked for.
  let control;
  let address, lastId;
  let failures = 0;
  let pauseMs = 2_000;
  let timer, silence, hiding;
  let isOver, isBehind, isParked;

  // Whether updates arrive: a page never looks live when it is not.
  function say(isLive) {
    const offline = byId("offline");
    if (offline) offline.hidden = isLive;
    clearTimeout(silence);
    // A connection of which nothing is heard may be dead without knowing.
    if (isLive) silence = setTimeout(() => { say(false); control?.abort(); }, SILENCE_MS);
  }

  async function open() {
    clearTimeout(timer);
    if (!wanted() || isOver || document.hidden || control) return;
    const mine = control = new AbortController();
    if (address !== wanted()) lastId = undefined;
    address = wanted();
    if (!isParked) tell(true);
    const openedAt = Date.now();
    let atLeastMs = 0;
    let isWell = false;
    try {
      // It missed more than a stream is for.
      if (isBehind) {
        await put(await (await ask(location.pathname, mine)).text());
        isBehind = false;
      }
      const { body } = await ask(address, mine, "text/event-stream");
      isWell = true;
      if (isParked) setTimeout(() => isParked && mine.abort(), LOOK_IN_MS);
      await read(body.getReader(), mine);
    } catch (error) {
      atLeastMs = error.atLeastMs ?? 0;
    }
    if (control !== mine) return;
    control = undefined;
    if (isParked && isWell) {
      timer = setTimeout(open, LOOK_IN_EVERY_MS * (0.5 + Math.random()));
      return;
    }
    tell(false);
    say(false);
    if (Date.now() > openedAt + STEADY_MS) failures = 0;
    const pause = Math.min(PAUSE_MAX_MS, pauseMs * 2 ** failures) * (0.5 + Math.random() / 2);
    failures += 1;
    timer = setTimeout(open, Math.max(pause, atLeastMs));
  }

  function openNow() {
    failures = 0;
    isParked = false;
    if (control) tell(true);
    else open();
  }

  function openAnew() {
    control?.abort();
    control = undefined;
    openNow();
  }

  // Every question says what the page shows by now.
  async function ask(path, { signal }, type = "") {
    const url = new URL(path, location);
    const seen = byId("seen");
    if (seen) url.searchParams.set("seen", seen.value);
    const headers = {
      "Accept": "text/html, text/event-stream",
      "HX-Request": "true",
      "HX-Current-URL": location.href,
    };
    if (lastId) headers["Last-Event-ID"] = lastId;
    const impatience = setTimeout(() => control?.abort(), PATIENCE_MS);
    const response = await fetch(url, { headers, signal }).finally(() => clearTimeout(impatience));
    const { status } = response;
    if (status >= 400 && status < 500 && !MAY_PASS.includes(status)) {
      const text = await response.text();
      // Whoever is in between refuses too, as while a service restarts; that passes.
      isOver = text.includes("<hx-partial");
      if (isOver) await put(text);
    }
    if (response.ok && (response.headers.get("Content-Type") ?? "").includes(type)) return response;
    const retryAfterMs = 1_000 * Number(response.headers.get("Retry-After")) || 0;
    throw { atLeastMs: Math.min(RETRY_AFTER_MAX_MS, retryAfterMs) };
  }

  async function read(reader, { signal }) {
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const messages = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = messages.pop();
      for (const message of messages) if (!signal.aborted) await take(message);
    }
  }

  async function take(message) {
    const fields = {};
    for (const line of message.split("\n")) {
      // Texts have line ends that only scripts take for some.
      const [, name, value] = /^(\w+): ?(.*)/s.exec(line) ?? [];
      fields[name] = name === "data" && "data" in fields ? `${fields.data}\n${value}` : value;
    }
    const { id, event, data, retry } = fields;
    lastId = id ?? lastId;
    pauseMs = Number(retry) || pauseMs;
    if (event === "behind") {
      isBehind = true;
      control?.abort();
    } else if (event) {
      htmx.trigger(byId("stream"), event, { data });
    } else if (data) {
      await put(data);
    } else {
      return;
    }
    say(event !== "paused");
  }

  const put = (text) => htmx.swap({ sourceElement: byId("stream"), text, swap: "none", hx: {} });

  // Another question may have been put to a report, or another page in place of this one.
  addEventListener("htmx:after:swap", () => {
    if (address !== wanted()) openAnew();
  });

  addEventListener("offline", () => say(false));
  addEventListener("online", openAnew);

  // A page that nobody sees lets its stream go, and is current soon after it is seen again.
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiding);
    if (document.hidden) {
      hiding = setTimeout(() => { say(false); tell(false); control?.abort(); }, HIDDEN_MS);
    } else {
      openNow();
    }
  });

  // The pages of this browser tell each other who has a stream.
  const me = Math.random();
  const newer = new Set();
  let channel;

  function tell(isOpen) {
    if (isOpen) newer.clear();
    channel?.postMessage({ page: me, isOpen });
  }

  function listen() {
    if (!("BroadcastChannel" in window)) return;
    channel = new BroadcastChannel("live");
    channel.onmessage = ({ data: { page, isOpen } }) => {
      if (isOpen) newer.add(page);
      else newer.delete(page);
      if (newer.size >= PLACES && !isParked) {
        isParked = true;
        control?.abort();
      } else if (newer.size < PLACES && isParked) {
        openNow();
      }
    };
  }

  listen();
  addEventListener("pagehide", () => {
    tell(false);
    channel?.close();
    channel = undefined;
  });
  addEventListener("pageshow", ({ persisted }) => {
    if (!persisted) return;
    listen();
    openNow();
  });
  for (const touch of ["focus", "pointerdown", "keydown"]) {
    addEventListener(touch, () => { if (isParked) openNow(); }, { passive: true });
  }

  open();

  // What is added to a list stands there once. A list that is put in anew keeps what the page has of
  // before its beginning, unless something is missing in between.
  function keepEarlier(list) {
    const edge = list.querySelector(":scope > .earlier");
    if (!edge) return;
    const isAtTop = edge === list.firstElementChild;
    const oldest = isAtTop ? edge.nextElementSibling : edge.previousElementSibling;
    const known = byId(oldest.id);
    if (!known) return;
    const all = [...known.parentElement.children];
    const at = all.indexOf(known);
    const kept = isAtTop ? all.slice(0, at) : all.slice(at + 1);
    edge.replaceWith(...kept.map((item) => item.cloneNode(true)));
    // It had the focus when it came in; now the focus stays where it is.
    list.querySelectorAll("[autofocus]").forEach((item) => item.removeAttribute("autofocus"));
  }

  addEventListener("htmx:before:swap", ({ detail: { tasks } }) => {
    for (const { fragment, swapSpec } of tasks) {
      if (["beforeend", "afterbegin"].includes(swapSpec.style)) {
        for (const item of fragment.querySelectorAll("li[id]")) if (byId(item.id)) item.remove();
      } else {
        fragment.querySelectorAll("#thread, #history-items").forEach(keepEarlier);
      }
    }
  });

  // A link to a message that is further back leads to where it is.
  const [, message] = /^#m(\d{1,15})$/.exec(location.hash) ?? [];
  if (message && byId("thread") && !byId(`m${message}`)) {
    location.replace(`?before=${Number(message) + 1}${location.hash}`);
  }
})();
