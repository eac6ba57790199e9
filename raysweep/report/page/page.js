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
      svg.setAttribute("aria-hidden", "true");  // what is in it is said by the label of the chart
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

  // Marks what is of all values of a choice although some aren't chosen.
  function tellFixed() {
    const isNarrowed = (name) => known[name] && chosen[name].size < known[name].size;
    for (const note of document.querySelectorAll(".fixed")) {
      const names = note.dataset.fixed.split(" ").filter(isNarrowed).map((name) => `${name}s`);
      note.hidden = names.length === 0;
      note.textContent = `This ${note.dataset.what} is of all ${names.join(" and ")}: the choice above doesn't change it.`;
    }
    const told = Object.keys(known).filter(isNarrowed).map((name) => `${chosen[name].size} of ${known[name].size} ${name}s`);
    document.getElementById("chosen").textContent = told.length ? `Shown: ${told.join(", ")}. The sentences are of everything.` : "Everything is shown.";
    for (const count of form.querySelectorAll(".count")) {
      const name = count.closest("details").querySelector("fieldset").dataset.choice;
      count.textContent = isNarrowed(name) ? `${chosen[name].size} of ${known[name].size}` : `all ${known[name].size}`;
    }
  }

  function choose() {
    readChoices();
    const rows = [...document.querySelectorAll("tr[data-task], tr[data-pair], tr[data-method], tr[data-seed]")];
    for (const row of rows) row.toggleAttribute("data-off", !isChosen(row.dataset));
    for (const figure of figures) {
      if (figure.spec) draw(figure);
    }
    tellFixed();
  }

  // The choice is in the address, as #method=naive&task=boolq&task=sciq, so that a link can hold it.
  function readAddress() {
    const asked = new URLSearchParams(location.hash.slice(1));
    for (const input of form.querySelectorAll("input")) {
      input.checked = !asked.has(input.name) || asked.getAll(input.name).includes(input.value);
    }
    choose();
  }

  function writeAddress() {
    const told = new URLSearchParams();
    for (const fieldset of form.querySelectorAll("fieldset")) {
      const inputs = [...fieldset.querySelectorAll("input")], checked = inputs.filter((input) => input.checked);
      if (checked.length === inputs.length) continue;
      if (checked.length === 0) told.append(fieldset.dataset.choice, "");
      for (const input of checked) told.append(input.name, input.value);
    }
    try {
      history.replaceState(null, "", `#${told}`);
    } catch {}  // a sandbox has no address of its own
    choose();
  }

  if (form) {
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", writeAddress);
    for (const button of form.querySelectorAll("[data-all]")) {
      button.addEventListener("click", () => {
        for (const input of button.closest("fieldset").querySelectorAll("input")) input.checked = button.dataset.all === "true";
        writeAddress();
      });
    }
    const close = (except) => {
      for (const open of form.querySelectorAll("details[open]")) if (open !== except) open.open = false;
    };
    document.addEventListener("click", (event) => close(event.target.closest("details.choice")));
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.target.closest("details")?.querySelector("summary").focus();
      close();
    });
    addEventListener("hashchange", readAddress);
    readAddress();
  }

  // A header sorts its table: numbers by size, the largest first, names by the alphabet; what has no number is last.
  const number = (text) => parseFloat(text.replace("−", "-").replace(/^[<>≥≤]\s*/, ""));
  function sort(header) {
    const table = header.closest("table"), body = table.tBodies[0], place = header.cellIndex;
    const rows = [...body.rows].map((row) => ({ row, text: row.cells[place].textContent, value: number(row.cells[place].textContent) }));
    const isNumeric = header.classList.contains("n") && rows.some((item) => !isNaN(item.value));
    const first = isNumeric ? "descending" : "ascending", other = isNumeric ? "ascending" : "descending";
    const order = header.ariaSort === first ? other : first;
    const sign = order === "ascending" ? 1 : -1;
    rows.sort((a, b) => {
      if (!isNumeric) return sign * a.text.localeCompare(b.text, undefined, { numeric: true });
      return isNaN(a.value) - isNaN(b.value) || sign * (a.value - b.value) || 0;
    });
    for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
    header.ariaSort = order;
    body.append(...rows.map((item) => item.row));
  }
  for (const header of document.querySelectorAll("thead th")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => sort(header));
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
