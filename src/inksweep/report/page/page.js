"use strict";
(() => {
  const narrow = window.matchMedia("(max-width: 760px)").matches;
  const config = { responsive: true, displaylogo: false, displayModeBar: narrow ? false : "hover", plotlyServerURL: "",
    showSendToCloud: false, showEditInChartStudio: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "toImage"] };
  const draw = (script) => {
    const place = document.getElementById(script.dataset.plot);
    if (!place || place.dataset.drawn || !place.offsetParent) return;
    place.dataset.drawn = "yes";
    try {
      const figure = JSON.parse(script.textContent);
      if (narrow) {
        figure.layout.dragmode = false; // a finger scrolls the page
        figure.layout.font.size = 12;
      }
      Plotly.newPlot(place, figure.data, figure.layout, config);
    } catch (error) {
      place.textContent = "This plot cannot be shown here: " + error.message;
    }
  };
  const scripts = [...document.querySelectorAll("script[data-plot]")];
  const queue = scripts.slice();
  const next = () => { if (queue.length) { draw(queue.shift()); setTimeout(next, 0); } else document.body.dataset.drawn = "yes"; };
  next();
  document.querySelectorAll("details").forEach((details) => details.addEventListener("toggle", () => {
    details.querySelectorAll("script[data-plot]").forEach(draw);
  }));
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details.printed").forEach((details) => { details.open = true; });
    scripts.forEach(draw);
  });

  document.querySelectorAll("[data-copy]").forEach((button) => button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "copied";
    } catch {
      window.getSelection().selectAllChildren(code);
      button.textContent = "press Ctrl+C";
    }
    setTimeout(() => { button.textContent = "copy"; }, 2000);
  }));

  document.querySelectorAll("table.sortable").forEach((table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = table.tBodies[0];
      const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent.trim();
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === "" || y === "") return (x === "") - (y === ""); // what is missing stands last
        const order = !isNaN(x) && !isNaN(y) ? x - y : x.localeCompare(y, undefined, { numeric: true });
        return up ? order : -order;
      });
      body.append(...rows);
    }));
  });

  const box = document.getElementById("reload");
  if (box) {
    let store = null;
    try { store = window.sessionStorage; } catch { /* forbidden for local files in some browsers */ }
    const name = "inksweep:" + location.pathname;
    const details = [...document.querySelectorAll("details")];
    const before = JSON.parse(store?.getItem(name) ?? "null");
    if (before) {
      box.checked = before.reload;
      details.forEach((each, number) => { each.open = Boolean(before.open[number]); });
      window.scrollTo(0, before.top);
    }
    window.addEventListener("pagehide", () => store?.setItem(name, JSON.stringify({
      top: window.scrollY, open: details.map((each) => each.open), reload: box.checked })));
    setInterval(() => { if (box.checked) location.reload(); }, RELOAD_S * 1000);
  }
})();
