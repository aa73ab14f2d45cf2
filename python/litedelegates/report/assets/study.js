// The study as the page sees it, and which part of it is shown.

const study = JSON.parse(document.getElementById("study").textContent);
const byKey = new Map(study.cells.map((cell) => [cell.key, cell]));
const FIELDS = [["model", "Model"], ["precision", "Precision"], ["delegate", "Delegate"], ["threads", "Threads"]];
const filters = { text: "", model: new Set(), precision: new Set(), delegate: new Set(), threads: new Set() };

const warned = (cell) => cell.conditions.some((condition) => condition.severity !== "note");
const measured = (cell) => cell.status === "ok" && cell.median_us !== null;

function isShown(cell) {
  if (FIELDS.some(([name]) => filters[name].size && !filters[name].has(cell[name]))) return false;
  const text = `${cell.model} ${cell.label} ${cell.status} ${cell.reason || ""}`.toLowerCase();
  return filters.text.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

const shownCells = () => study.cells.filter(isShown);

// [model, its cells] for every model that has cells left.
function byModel(cells) {
  return study.models
    .map((model) => [model, cells.filter((cell) => cell.model_key === model.key)])
    .filter(([, own]) => own.length);
}

// A delegate keeps its colour from chart to chart; the well-known ones from report to report.
const colours = new Map([["none", 0], ["builtin", 0], ["xnnpack", 1], ["gpu", 2], ["edgetpu", 3], ["openvino", 4]]);
const SPARE = [5, 6, 7, 3, 4];
let spared = 0;

function colour(name) {
  if (!colours.has(name)) colours.set(name, SPARE[spared++ % SPARE.length]);
  return colours.get(name);
}

// A precision keeps its shape, so that colour is never the only sign.
const SHAPES = {
  circle: (r) => `M${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`,
  square: (r) => `M${-r * 0.9},${-r * 0.9}h${r * 1.8}v${r * 1.8}h${-r * 1.8}z`,
  diamond: (r) => `M0,${-r * 1.25}L${r * 1.25},0L0,${r * 1.25}L${-r * 1.25},0z`,
  up: (r) => `M0,${-r * 1.2}L${r * 1.15},${r * 0.85}H${-r * 1.15}z`,
  down: (r) => `M0,${r * 1.2}L${r * 1.15},${-r * 0.85}H${-r * 1.15}z`,
  plus: (r) => `M${-r * 0.4},${-r * 1.1}h${r * 0.8}v${r * 0.7}h${r * 0.7}v${r * 0.8}h${-r * 0.7}v${r * 0.7}h${-r * 0.8}v${-r * 0.7}h${-r * 0.7}v${-r * 0.8}h${r * 0.7}z`,
};
const shapes = new Map([["float32", "circle"], ["float16", "square"], ["dynamic", "up"], ["int8", "diamond"], ["int16x8", "down"]]);

function shape(precision, r) {
  return SHAPES[shapes.get(precision) || "plus"](r);
}
