// What the plan costs, in large figures, and beside one choice for all layers.

function figures() {
  const shown = Object.entries(COSTS).filter(([name]) => known(plan.costs[name]) && (name !== "nbytes" || plan.devices.length > 1) && (name !== "error" || plan.costs.error > 0));
  const best = plan.best && plan.rivals.find((rival) => rival.name === plan.best.name);
  return el("div", { class: "figures-row" }, shown.map(([name, cost]) => {
    const versus = best && known(best[name]) && best[name] > 0 ? plan.costs[name] / best[name] - 1 : null;
    const between = name === "latency_us" && known(plan.low_us) && known(plan.high_us) ? `between ${time(plan.low_us)} and ${time(plan.high_us)}` : cost.note;
    return el("div", { class: `figure-card ${name === objectiveField ? "wanted" : ""}` }, el("span", { class: "what" }, cost.name), el("strong", {}, cost.text(plan.costs[name])), el("small", {}, between),
      versus === null || Math.abs(versus) < 0.0005 ? null : el("span", { class: `versus ${versus < 0 ? "faster" : "slower"}` }, versus > 2 ? `${digits(versus + 1, 2)}×` : `${versus < 0 ? "−" : "+"}${digits(Math.abs(versus) * 100, 2)} %`));
  }), best ? el("p", { class: "beside" }, `Coloured: compared with the best single choice within the bounds, ${best.name}.`) : null);
}

function chapterList(titles) {
  const own = plan.chapters.filter((chapter) => titles.includes(chapter.title));
  return el("div", { class: "chapters" }, own.map((chapter) => el("article", { class: "chapter" }, el("h3", {}, chapter.title), el("ul", {}, chapter.sentences.map((sentence) => el("li", {}, sentence))))));
}

function overview() {
  const notes = plan.chapters.find((chapter) => chapter.title === "Before it is trusted");
  return section("overview", "The plan", null, figures(), chapterList(["In short", "Where the time goes", "What would have to change"]),
    notes ? el("aside", { class: "notes", "aria-labelledby": "notes-title" }, el("h3", { id: "notes-title" }, "⚠ Before it is trusted"), el("ul", {}, notes.sentences.map((sentence) => el("li", {}, sentence)))) : null);
}

function uniform() {
  if (!plan.rivals.length) return null;
  const there = Object.entries(COSTS).filter(([name]) => [plan.costs, ...plan.rivals].some((one) => one[name] > 0));
  let current = objectiveField, whole = false;
  return section("uniform", "Against one choice for all layers", "What is pale exceeds a bound; why is said beside it.", chapterList(["Against one choice for all layers"]), part((again) => {
    const name = current, all = [{ name: "This plan", ...plan.costs, keeps: true, own: true }, ...plan.rivals].filter((one) => known(one[name])), rows = whole ? all : all.slice(0, 10);
    const head = ["Choice", ...there.map(([, cost]) => cost.name), "Why not"];
    const table = all.map((one) => [one.name, ...there.map(([field, cost]) => (known(one[field]) ? cost.text(one[field]) : "–")), one.objection || (one.own ? "taken" : "")]);
    return [pick("Compare", there.map(([value, cost]) => [value, cost.name]), current, (value) => { current = value; again(); }),
      chart(COSTS[name].name, COSTS[name].note, `Shortest of those within the bounds: ${[...all].filter((one) => one.keeps).sort((a, b) => a[name] - b[name])[0].name}.`, (width) => drawBars(width, rows, name),
        [rows.length < all.length ? el("button", { type: "button", class: "quiet more-rows", "data-pick": "whole", onclick: () => { whole = true; again(); } }, `Show all ${all.length}`) : null, alternative(head, table, "The plan and one choice for all layers")])];
  }));
}

function drawBars(width, rows, name) {
  const cost = COSTS[name], stacked = width < 620, row = stacked ? 46 : 32, names = stacked ? 0 : Math.min(300, width * 0.36), valueWidth = 76, top = 2;
  const x = linearScale(0, Math.max(...rows.map((one) => one[name])) || 1, names + 8, width - valueWidth), svg = sv("svg");
  rows.forEach((one, i) => {
    const y = top + i * row, bar = stacked ? y + 20 : y + 6, length = Math.max(2, x(one[name]) - x(0));
    const lines = [`${cost.name} ${cost.text(one[name])}`, ...Object.entries(COSTS).filter(([field]) => field !== name && one[field] > 0).map(([field, other]) => `${other.name} ${other.text(one[field])}`), one.objection || ""].filter(Boolean);
    const why = one.keeps ? "" : one.objection, behind = x(0) + length + 14 + cost.text(one[name]).length * 7.4, room = Math.max(width - behind, length - 16);
    svg.append(mark(one.name, lines, {}, sv("rect", { class: "hit", x: 1, y: y + 1, width: width - 2, height: row - 2, rx: 5 }),
      sv("text", { class: one.own ? "value" : "name", x: stacked ? 2 : names, y: stacked ? y + 14 : y + row / 2 + 4, "text-anchor": stacked ? "start" : "end" }, short(one.name, Math.floor((stacked ? width - 20 : names) / 6.7))),
      sv("rect", { class: `anchor rival ${one.own ? "own" : ""} ${one.keeps ? "" : "beyond"}`, x: x(0), y: bar, width: length, height: 20, rx: 4 }),
      sv("text", { class: "value", x: x(0) + length + 7, y: bar + 14.5 }, cost.text(one[name])),
      why && room > 60 ? sv("text", { class: "aside", x: width - behind >= length - 16 ? behind : x(0) + 8, y: bar + 14.5 }, short(why, Math.floor(room / 6.6))) : null));
  });
  return { svg, height: top + rows.length * row + 6 };
}
