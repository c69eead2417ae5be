/* Keeps an open page up to date. The page works without it: then every link and form loads a page anew. */
"use strict";

(() => {
  const { base, page, uid } = document.body.dataset;
  const REFRESH_MS = 4000;   // at most one reload of the content in this time, however much changes
  const DRIFT_MS = 30000;    // numbers drift with time alone, so look again without any change
  const STALE_MS = 30000;    // the server sends a pulse about every ten seconds
  const ahead = Number(document.body.dataset.now) - Date.now();
  let clock = ahead;         // what to add to this machine's clock to get the server's

  document.body.classList.add("enhanced");

  /* Times */

  function ago(moment) {
    const seconds = Math.floor((Date.now() + clock - moment) / 1000);
    if (seconds < 5) return "just now";
    for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
      if (seconds >= size) return `${Math.floor(seconds / size)}\u202f${unit} ago`;
    }
    return `${seconds}\u202fs ago`;
  }

  function tick() {
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const text = ago(Date.parse(time.dateTime));
      if (time.textContent !== text) time.textContent = text;
    }
  }

  /* Putting new content in place without losing what the reader was at */

  function parse(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content;
  }

  function markOf(element) {
    const at = document.activeElement;
    if (!at || at === element || !element.contains(at)) return null;
    if (at.id) return `#${CSS.escape(at.id)}`;
    if (at.dataset.sort) return `[data-sort="${CSS.escape(at.dataset.sort)}"]`;
    const row = at.closest("tr[id]");
    if (row) return `#${CSS.escape(row.id)} a`;
    const href = at.getAttribute("href");
    return href && `#${CSS.escape(element.id)} a[href="${CSS.escape(href)}"]`;
  }

  function withFocusKept(element, change) {
    const mark = markOf(element);
    change();
    if (!mark || document.activeElement !== document.body) return;
    document.querySelector(mark)?.focus({ preventScroll: true });
  }

  function putRows(old, fresh) {
    const kept = new Map([...old.children].map((row) => [row.id, row]));
    let before = old.firstElementChild;
    for (const row of [...fresh.children]) {
      const present = kept.get(row.id);
      kept.delete(row.id);
      if (present && present.innerHTML !== row.innerHTML) present.innerHTML = row.innerHTML;
      const placed = present || row;
      if (placed === before) before = before.nextElementSibling;
      else old.insertBefore(placed, before);
    }
    for (const row of kept.values()) row.remove();
  }

  function put(old, fresh) {
    const rows = old.querySelector("#rows");
    const freshRows = fresh.querySelector("#rows");
    if (rows && freshRows) {
      putRows(rows, freshRows);
      freshRows.replaceWith(rows);
    }
    for (const details of fresh.querySelectorAll("details[id]")) {
      details.open = old.querySelector(`#${CSS.escape(details.id)}`)?.open ?? details.open;
    }
    old.replaceWith(fresh);
  }

  function putAll(html) {
    for (const fresh of [...parse(html).querySelectorAll("[data-live]")]) {
      const old = document.getElementById(fresh.id);
      if (!old) continue;
      withFocusKept(old, () => put(old, fresh));
    }
    tick();
    prepareLanes();
  }

  /* Loading content */

  let loading = null;
  let refreshAt = 0;
  let refreshTimer = null;

  async function load(address) {
    loading?.abort();
    const mine = (loading = new AbortController());
    const url = new URL(address, location.href);
    url.searchParams.set("fragment", "1");
    try {
      const answer = await fetch(url, { signal: mine.signal, headers: { Accept: "text/html" } });
      if (answer.ok) putAll(await answer.text());
      return answer.ok;
    } catch {
      return false;
    } finally {
      if (loading === mine) loading = null;
      refreshAt = Date.now() + REFRESH_MS;
    }
  }

  function refresh() {
    if (refreshTimer) return;
    refreshTimer = setTimeout(() => {
      refreshTimer = null;
      if (document.hidden || loading) return;
      if (document.querySelector("#history:has(.day:hover)")) return refresh();
      load(location.href);
    }, Math.max(0, refreshAt - Date.now()));
  }

  async function go(address, push) {
    history[push ? "pushState" : "replaceState"](null, "", address);
    if (!await load(address)) location.reload();
  }

  /* Search, filters, sorting and paging */

  function formAddress(form) {
    const parameters = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      if (value && !(name === "sort" && value === "status")) parameters.set(name, value);
    }
    return `?${parameters}`;
  }

  function prepareSearch(form) {
    let timer = null;
    const submit = (push) => { clearTimeout(timer); go(formAddress(form), push); };
    form.addEventListener("submit", (event) => { event.preventDefault(); submit(true); });
    form.elements.q.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(submit, 220, false); });
    form.elements.sort.addEventListener("change", () => submit(true));
    document.addEventListener("click", (event) => {
      const link = event.target.closest("#totals a, #table .filters a, #table thead a, #table .pager a");
      if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      if ("clear" in link.dataset) form.elements.q.value = "";
      go(link.getAttribute("href"), true).then(showSort);
      if (link.closest(".pager")) document.getElementById("table-heading").scrollIntoView();
    });
    const showSort = () => {
      form.elements.sort.value = new URLSearchParams(location.search).get("sort") || "status";
    };
    window.addEventListener("popstate", () => {
      form.elements.q.value = new URLSearchParams(location.search).get("q") || "";
      showSort();
      load(location.href);
    });
  }

  /* Changes, as the server finds them */

  function showTotals({ texts, bars }) {
    for (const [name, text] of Object.entries(texts)) {
      for (const place of document.querySelectorAll(`[data-total="${CSS.escape(name)}"]`)) place.textContent = text;
    }
    for (const [name, counts] of Object.entries(bars)) {
      const whole = Object.values(counts).reduce((sum, count) => sum + count, 0) || 1;
      let before = 0;
      for (const [key, count] of Object.entries(counts)) {
        const part = document.querySelector(`[data-bar="${name}"] [data-key="${CSS.escape(key)}"]`);
        part?.setAttribute("x", `${100 * before / whole}%`);
        part?.setAttribute("width", `${100 * count / whole}%`);
        before += count;
      }
    }
  }

  function showRows(rows) {
    for (const [key, html] of Object.entries(rows)) {
      const old = document.querySelector(`#rows > tr[data-uid="${CSS.escape(key)}"]`);
      if (!old) continue;
      const fresh = parse(`<table>${html}</table>`).querySelector("tr");
      withFocusKept(old, () => { old.innerHTML = fresh.innerHTML; });
      old.classList.remove("changed");
      void old.offsetWidth;    // starts the animation over
      old.classList.add("changed");
    }
  }

  function onChange(event) {
    const message = JSON.parse(event.data);
    clock = message.now - Date.now();
    heard(message.trouble);
    if (message.totals) showTotals(message.totals);
    if (message.rows) showRows(message.rows);
    if (page === "index" && (message.rows || message.gone)) refresh();
    if (page === "evse" && (message.uids?.includes(uid) || message.gone?.includes(uid))) refresh();
  }

  const badge = document.getElementById("live");
  let staleTimer = null;

  function show(state, word) {
    if (badge.dataset.state === state && badge.firstElementChild.textContent === word) return;
    badge.dataset.state = state;
    badge.replaceChildren(Object.assign(document.createElement("span"), { className: "live-word", textContent: word }));
  }

  function heard(trouble) {
    clearTimeout(staleTimer);
    staleTimer = setTimeout(show, STALE_MS, "stale", "Nothing heard from the server");
    show(trouble ? "stale" : "live", trouble || "Live");
  }

  function listen() {
    const source = new EventSource(`${base}events?since=${encodeURIComponent(document.body.dataset.feed)}`);
    source.addEventListener("open", () => heard(null));
    source.addEventListener("change", onChange);
    source.addEventListener("resync", () => { heard(null); refresh(); });
    source.addEventListener("error", () => {
      clearTimeout(staleTimer);
      show("stale", "Reconnecting…");
      // A browser gives up on an answer that is no stream; a busy server may take it later.
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 10000);
    });
    window.addEventListener("pagehide", () => source.close(), { once: true });
    window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); }, { once: true });
  }

  /* The timeline: what a day holds, by pointer or arrow keys */

  function tell(lane, day) {
    document.querySelector(".day.chosen")?.classList.remove("chosen");
    const readout = document.querySelector("[data-readout]");
    if (!readout) return;
    day?.classList.add("chosen");
    readout.textContent = day ? `${lane.querySelector("h3").textContent}, ${day.dataset.told}` : "";
  }

  function prepareLanes() {
    for (const lane of document.querySelectorAll("[data-lane]:not([data-ready])")) {
      lane.dataset.ready = "";
      const days = [...lane.querySelectorAll(".day")];
      for (const day of days) {
        // The readout says it, so that the browser's own tooltip need not.
        day.dataset.told = day.textContent;
        day.replaceChildren();
        day.addEventListener("pointerenter", () => tell(lane, day));
      }
      lane.addEventListener("pointerleave", () => tell(lane, null));
      const drawing = lane.querySelector("svg");
      drawing.tabIndex = 0;
      drawing.addEventListener("blur", () => tell(lane, null));
      drawing.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!step) return;
        event.preventDefault();
        const at = days.findIndex((day) => day.classList.contains("chosen"));
        const next = at < 0 ? days.length - 1 : Math.min(days.length - 1, Math.max(0, at + step));
        tell(lane, days[next]);
      });
    }
  }

  const form = document.getElementById("search");
  if (form) prepareSearch(form);
  prepareLanes();
  if (page) {
    listen();
    setInterval(tick, 5000);
    setInterval(refresh, DRIFT_MS);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  }
})();
