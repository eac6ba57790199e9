"use strict";
(function () {
  const form = document.getElementById("choices");
  const figures = [...document.querySelectorAll("figure")].filter((figure) => figure.querySelector("script"));
  const known = {};   // choice -> all of its values
  const chosen = {};  // choice -> those that are chosen

  // A figure may write a name in words, or in several lines.
  const plain = (value) => String(value).replace(/[_\s]+/g, " ");

  function readChoices() {
    for (const fieldset of form ? form.querySelectorAll("fieldset") : []) {
      const inputs = [...fieldset.querySelectorAll("input")];
      known[fieldset.dataset.choice] = new Set(inputs.map((input) => plain(input.value)));
      chosen[fieldset.dataset.choice] = new Set(inputs.filter((input) => input.checked).map((input) => plain(input.value)));
    }
  }

  // What isn't of any single task, method or seed stays.
  function isChosen(values) {
    return Object.keys(known).every((name) => {
      const value = values[name];
      return value === undefined || value === null || !known[name].has(plain(value)) || chosen[name].has(plain(value));
    });
  }

  // A copy of a Vega-Lite specification with the chosen rows of its tables; counts rows kept in `count`.
  function filtered(spec, count) {
    if (Array.isArray(spec)) return spec.map((item) => filtered(item, count));
    if (spec === null || typeof spec !== "object") return spec;
    const keep = (rows) => {
      const kept = rows.filter(isChosen);
      count.before += rows.length;
      count.after += kept.length;
      return kept;
    };
    const copy = {};
    for (const [name, value] of Object.entries(spec)) {
      if (name === "datasets") copy[name] = Object.fromEntries(Object.entries(value).map(([key, rows]) => [key, keep(rows)]));
      else if (name === "data" && value && Array.isArray(value.values)) copy[name] = { ...value, values: keep(value.values) };
      else copy[name] = filtered(value, count);
    }
    return copy;
  }

  async function draw(figure) {
    const turn = (figure.turn = (figure.turn || 0) + 1);
    const chart = figure.querySelector(".chart"), image = figure.querySelector("img"), empty = figure.querySelector(".empty");
    const count = { before: 0, after: 0 };
    const spec = filtered(figure.spec, count);
    const isEmpty = count.before > 0 && count.after === 0;
    empty.hidden = !isEmpty;
    image.hidden = true;
    chart.hidden = isEmpty;
    if (isEmpty) return;
    try {
      const result = await window.vegaEmbed(document.createElement("div"), spec, { renderer: "svg", actions: false, logLevel: 1 });
      if (turn !== figure.turn) return result.finalize();  // a later choice was faster
      if (figure.result) figure.result.finalize();
      figure.result = result;
      chart.replaceChildren(result.view.container());
      const svg = chart.querySelector("svg");
      figure.style.setProperty("--w", svg.getAttribute("width"));
      figure.querySelector(".save").hidden = false;
    } catch (error) {  // the picture is there, of all rows
      image.hidden = false;
      chart.hidden = true;
      console.error(error);
    }
  }

  async function save(figure) {
    const text = await figure.result.view.toSVG();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
    link.download = figure.id.replace("figure-", "") + ".svg";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  function choose() {
    readChoices();
    const rows = [...document.querySelectorAll("tr[data-task], tr[data-method], tr[data-seed]")];
    for (const row of rows) row.toggleAttribute("data-off", !isChosen(row.dataset));
    for (const figure of figures) {
      if (figure.spec) draw(figure);
    }
    const told = Object.keys(known).map((name) => `${chosen[name].size} of ${known[name].size} ${name}s`);
    document.getElementById("chosen").textContent = `Shown: ${told.join(", ")}.`;
  }

  if (form) {
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", choose);
    for (const button of form.querySelectorAll("[data-all]")) {
      button.addEventListener("click", () => {
        for (const input of button.closest("fieldset").querySelectorAll("input")) input.checked = button.dataset.all === "true";
        choose();
      });
    }
    choose();
  }

  // A viewer that puts the page into a sandbox, as MLflow's does, doesn't follow links within it.
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (!link) return;
    const target = document.getElementById(link.hash.slice(1));
    event.preventDefault();
    target.tabIndex = -1;
    target.focus({ preventScroll: true });
    target.scrollIntoView();
  });

  // A figure is drawn when it comes near the screen, so that many of them don't hold the page up.
  function start(figure) {
    figure.spec = JSON.parse(figure.querySelector("script").textContent);
    figure.querySelector(".save").addEventListener("click", () => save(figure));
    draw(figure);
  }
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((entry) => entry.isIntersecting)) {
      seen.unobserve(entry.target);
      start(entry.target);
    }
  }, { rootMargin: "600px" });
  for (const figure of figures) seen.observe(figure);
})();
