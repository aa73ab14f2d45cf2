// What to ship, and what to keep in mind.

function overview() {
  return el("section", { id: "overview", "aria-labelledby": "overview-title" }, el("h2", { id: "overview-title" }, "What to choose"),
    el("p", { class: "about" }, study.rule), el("div", { class: "cards" }, study.models.map(card)), warnings());
}

function card(model) {
  const best = byKey.get(model.best);
  if (!best) return el("article", { class: "card" }, el("h3", {}, model.name), el("p", { class: "choice" }, "Nothing to choose"), el("p", { class: "why" }, model.why));
  const quality = best.accuracy !== null ? ["Accuracy", percent(best.accuracy), model.base_accuracy === null ? "" : `reference ${percent(model.base_accuracy)}`]
    : best.error && best.error.relative != null ? ["Relative error", digits(best.error.relative, 2), `on ${best.error.inputs || "unknown"} inputs`] : null;
  const [value, ...rest] = timeRange(best.median_us, best.interval_us).split(" [");
  const unit = unitFor(best.median_us).name;
  const figures = [
    ["Latency", rest.length ? `${value} ${unit}` : value, rest.length ? `95 %: [${rest[0].split("]")[0]}]` : ""],
    best.speed_up && ["Speed-up", best.is_base ? "1×" : `${digits(best.speed_up.ratio)}×`, best.is_base ? "it is the reference" : best.speed_up.low === null ? "" : `[${digits(best.speed_up.low)}, ${digits(best.speed_up.high)}]`],
    quality,
  ].filter(Boolean);
  return el("article", { class: "card", "data-key": best.key }, el("h3", {}, model.name),
    el("p", { class: "choice" }, el("button", { type: "button", class: "link", onclick: () => openDetail(best) }, best.label)),
    el("dl", { class: "figures" }, figures.map(([name, text, more]) => el("div", {}, el("dt", {}, name), el("dd", {}, text, more && el("small", {}, more))))),
    el("p", { class: "why" }, model.why),
    study.models.length > 1 ? el("p", { class: "more" }, el("button", { type: "button", class: "link", "data-show": model.key, onclick: () => showModel(model) }, "See its charts")) : null);
}

function showModel(model) {
  filters.model = new Set([model.name]);
  applyFilters();
  document.querySelector(".toolbar").scrollIntoView();
}

function warnings() {
  if (!study.warnings.length) return null;
  return el("aside", { class: "notes", "aria-labelledby": "warnings-title" }, el("h3", { id: "warnings-title" }, "⚠ Keep in mind"),
    el("ul", {}, study.warnings.map(({ text, reach }) => el("li", {}, text, " ", el("span", { class: "reach" }, reach)))));
}

function provenance() {
  return el("section", { id: "provenance", "aria-labelledby": "provenance-title" }, el("h2", { id: "provenance-title" }, "Machine and provenance"),
    el("p", { class: "about" }, "A time without its machine compares with nothing."),
    el("div", { class: "facts" }, study.provenance.map(({ title, facts }) => el("div", {}, el("h3", {}, title), definitions(facts)))));
}

function method() {
  return el("section", { id: "method", "aria-labelledby": "method-title" }, el("h2", { id: "method-title" }, "How to read it"),
    el("ul", {}, study.method.map((text) => el("li", {}, text))));
}
