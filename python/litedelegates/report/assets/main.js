// The page: filters above, sections below; a filter draws all of them anew.

const CHARTS = [
  { id: "speed", title: "Speed-up", about: "How many times as fast as the reference, over rounds in which both ran. The whisker is the 95 % interval; a pale, dashed bar shows no difference.", draw: speedUps },
  { id: "trade", title: "Latency against quality", about: "Nothing on the dashed line is beaten by another configuration in both respects.", draw: tradeOff, before: measureSwitch, shapes: true, pair: true },
  { id: "times", title: "Distributions", about: "Every run that was kept. The line is the median, the bar below it its 95 % interval. What lies further out than is drawn is said at the right.", draw: distributions, before: timesSwitch },
  { id: "placement", title: "Placement", about: "Who ran which op, read from the execution plan.", draw: placements, ownLegend: true },
];

const body = el("div", { id: "body" });

function chartSection({ id, title, about, draw, before, shapes: withShapes, pair, ownLegend }, cells) {
  const figures = byModel(cells).map(([model, own]) => draw(model, own)).filter(Boolean);
  const shownNow = figures.length || !cells.length;
  if (!shownNow && !study.cells.some((cell) => draw(study.models[0], [cell]))) return null;
  return el("section", { id, "aria-labelledby": `${id}-title` }, el("h2", { id: `${id}-title` }, title), el("p", { class: "about" }, about),
    before && before(), figures.length && !ownLegend ? legend(cells.filter(measured), withShapes) : null,
    figures.length ? el("div", { class: pair ? "pair" : null }, figures) : el("p", { class: "empty" }, "Nothing measured among the configurations shown."));
}

// `focus` is a selector of what had the focus before everything was replaced.
function render(focus) {
  clear();
  const cells = shownCells();
  body.replaceChildren(...CHARTS.map((chart) => chartSection(chart, cells)).filter(Boolean),
    el("section", { id: "results", "aria-labelledby": "results-title" }, el("h2", { id: "results-title" }, "Results"),
      el("p", { class: "about" }, "Choose a name for everything that is known about it, a heading to sort."),
      cells.length ? resultsTable(cells) : el("p", { class: "empty" }, "No configuration fits these filters.")));
  for (const node of body.querySelectorAll("figure")) node.start();
  const text = `${cells.length} of ${plural(study.cells.length, "configuration")}`;
  for (const node of document.querySelectorAll(".count, #live")) if (node.textContent !== text) node.textContent = text;
  if (focus) body.querySelector(focus)?.focus();
}

function chips([name, title]) {
  const values = [...new Set(study.cells.map((cell) => cell[name]))];
  if (values.length < 2) return null;
  return el("fieldset", {}, el("legend", {}, title), values.map((value) => el("button", {
    type: "button", class: "chip", "aria-pressed": "false", "data-filter": name, title: String(value), onclick: () => {
      const set = filters[name], on = !set.has(value);
      if (name === "model") set.clear();  // one model at a time: charts of several are long
      if (on) set.add(value);
      else set.delete(value);
      applyFilters();
    },
  }, value)));
}

function applyFilters() {
  for (const chip of document.querySelectorAll(".chip[data-filter]")) {
    const pressed = [...filters[chip.dataset.filter]].some((value) => String(value) === chip.title);
    chip.setAttribute("aria-pressed", String(pressed));
  }
  render();
}

function toolbar() {
  const search = el("input", { type: "search", placeholder: "Search", "aria-label": "Search configurations", oninput: (event) => { filters.text = event.target.value; render(); } });
  const reset = el("button", { type: "button", class: "quiet", onclick: () => {
    search.value = filters.text = "";
    FIELDS.forEach(([name]) => filters[name].clear());
    applyFilters();
  } }, "Show all");
  return el("div", { class: "toolbar", role: "search", "aria-label": "Filters" }, search, FIELDS.map(chips), reset, el("span", { class: "count", "aria-hidden": "true" }));
}

document.getElementById("lede").textContent = study.lede;
document.getElementById("foot").textContent = study.foot;
const layersShown = layerSection();
if (study.cells.length || !layersShown) document.getElementById("main").append(overview(), el("div", {}, toolbar(), body));
else document.querySelector(".skip").setAttribute("href", "#layers");
fill(document.getElementById("main"), {}, [layersShown, provenance(), method()]);
startTheme();
listenToMarks();
listenToDialog();
if (study.models.length > 1) filters.model.add(study.models[0].name);
applyFilters();
for (const node of document.querySelectorAll(".layer-study")) node.start();
