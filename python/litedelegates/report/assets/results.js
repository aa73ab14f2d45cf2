// Every configuration, measured or not, in one table that can be sorted.

const verdictClass = (cell) => (cell.speed_up && !cell.is_base ? cell.speed_up.verdict.split(" ")[0] : null);
const peak = (cell) => (cell.memory ? cell.memory.peak : null);
const COLUMNS = [
  { name: "Median latency", sort: (cell) => cell.median_us, show: (cell) => timeRange(cell.median_us, cell.interval_us) },
  { name: "Speed-up", sort: (cell) => cell.speed_up && -cell.speed_up.ratio, show: (cell) => el("span", { class: verdictClass(cell), title: cell.speed_up && cell.speed_up.verdict }, cell.is_base ? "reference" : ratio(cell.speed_up)) },
  { name: "Accuracy", sort: (cell) => -cell.accuracy, there: (cell) => cell.accuracy !== null, show: (cell) => percent(cell.accuracy) },
  { name: "Relative error", sort: (cell) => cell.error && cell.error.relative, there: (cell) => cell.error, show: (cell) => digits(cell.error && cell.error.relative, 2) },
  { name: "p95", sort: (cell) => cell.stats && cell.stats.p95_us, show: (cell) => (!cell.stats ? "–" : cell.stats.p95_us === null ? el("small", {}, "n too small") : time(cell.stats.p95_us)) },
  { name: "Load", sort: (cell) => cell.load_us, show: (cell) => time(cell.load_us) },
  { name: "First run", sort: (cell) => cell.first_run_us, show: (cell) => time(cell.first_run_us) },
  { name: "Peak memory", sort: peak, there: (cell) => peak(cell) != null, show: (cell) => megabytes(peak(cell)) },
  { name: "Model size", sort: (cell) => cell.run_bytes, there: (cell) => cell.run_bytes, show: (cell) => (cell.run_bytes ? `${digits(cell.run_bytes / 1e3)} kB` : "–") },
  { name: "Ran on", sort: placed, text: true, show: placed },
];
const order = { column: -1, up: true };

function nameCell(cell) {
  return el("th", { scope: "row" }, el("button", { type: "button", class: "link", onclick: () => openDetail(cell) }, cell.label),
    warned(cell) ? el("span", { class: "flag", title: cell.conditions.map((condition) => condition.text).join("\n") }, " ⚠", el("span", { class: "unseen" }, " has warnings")) : null,
    study.models.length > 1 ? [el("br"), el("small", {}, cell.model)] : null);
}

function sorted(cells) {
  if (order.column < 0) return cells;
  const value = COLUMNS[order.column].sort, missing = (v) => v === null || v === undefined || v === "–";
  return [...cells].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (missing(x) || missing(y)) return missing(x) - missing(y);
    return (x < y ? -1 : x > y ? 1 : 0) * (order.up ? 1 : -1);
  });
}

function resultsTable(cells) {
  const columns = COLUMNS.filter(({ there }) => !there || study.cells.some(there));
  const head = columns.map((column) => {
    const index = COLUMNS.indexOf(column), active = order.column === index;
    const turn = () => { order.up = active ? !order.up : true; order.column = index; render(`[data-column="${index}"]`); };
    return el("th", { scope: "col", class: column.text ? "text" : null, "aria-sort": active ? (order.up ? "ascending" : "descending") : null },
      el("button", { type: "button", "data-column": index, onclick: turn }, column.name));
  });
  const body = sorted(cells).map((cell) => (measured(cell)
    ? el("tr", { "data-key": cell.key }, nameCell(cell), columns.map((column) => el("td", { class: column.text ? "text" : null }, column.show(cell))))
    : el("tr", { "data-key": cell.key, class: "failed" }, nameCell(cell), el("td", { class: "text wrap", colspan: columns.length }, el("span", { class: `status ${["skipped", "unfinished"].includes(cell.status) ? "skipped" : ""}` }, cell.status), " ", cell.reason || ""))));
  return el("div", { class: "scroller results", tabindex: 0, role: "region", "aria-label": "Table of results" },
    el("table", {}, el("caption", { class: "unseen" }, "Every configuration of the study"), el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Configuration"), head)), el("tbody", {}, body)));
}
