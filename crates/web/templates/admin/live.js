// What pages do beyond plain HTML: parts that follow what happens, rows that open by a double click, and choosing all.
"use strict";
(() => {
  const choose = () => {
    for (const all of document.querySelectorAll("input[data-all]")) {
      all.hidden = false;
      all.onchange = () => {
        for (const one of document.querySelectorAll("input[name=code]")) one.checked = all.checked;
      };
    }
  };
  choose();

  document.addEventListener("dblclick", (event) => {
    const row = event.target.closest("tr[data-href]");
    if (row && !event.target.closest("a, button, input")) location.href = row.dataset.href;
  });

  if (!document.body.dataset.livePage || !window.EventSource) return;

  const state = document.getElementById("live-state");
  const tell = (on) => {
    if (state) state.textContent = on ? state.dataset.on : state.dataset.off;
  };

  // Whoever is in the middle of something is not disturbed.
  const isBusy = (part) =>
    part.contains(document.activeElement) && document.activeElement !== document.body ||
    part.querySelector("input:checked") ||
    (getSelection() && !getSelection().isCollapsed && part.contains(getSelection().anchorNode));

  let waiting = 0;
  let fetched = 0;
  const refresh = async () => {
    waiting = 0;
    fetched = Date.now();
    let answer;
    try {
      answer = await fetch(location.href, { headers: { "Fairban-Live": "1" }, redirect: "error" });
    } catch {
      return;
    }
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(part.id);
      if (!fresh || isBusy(part)) continue;
      const open = [...part.querySelectorAll("details")].map((one) => one.open);
      part.replaceChildren(...fresh.childNodes);
      [...part.querySelectorAll("details")].forEach((one, place) => { one.open = open[place] || one.open; });
    }
    choose();
  };
  const soon = () => {
    if (waiting || document.hidden) return;
    waiting = setTimeout(refresh, Math.max(400, 2000 - (Date.now() - fetched)));
  };

  const stream = new EventSource("/api/v1/stream");
  stream.addEventListener("open", () => tell(true));
  stream.addEventListener("error", () => tell(false));
  stream.addEventListener("event", soon);
  stream.addEventListener("decision", soon);
  document.addEventListener("visibilitychange", soon);
})();
