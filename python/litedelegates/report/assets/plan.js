// The plan as the page sees it, and what its parts are coloured and called.

const plan = JSON.parse(document.getElementById("study").textContent);

// A precision has the colour that it has in the report of a study.
const precisionHues = new Map([["float32", 0], ["int8", 1], ["float16", 3], ["dynamic", 4], ["int16x8", 5]]);
const spareHues = [6, 7, 2];
function hueOf(precision) {
  const name = precision.split(";")[0];
  if (!precisionHues.has(name)) precisionHues.set(name, spareHues[precisionHues.size % spareHues.length]);
  return precisionHues.get(name);
}

const deviceHue = (name) => [2, 7, 6, 4, 5][Math.max(0, plan.devices.indexOf(name)) % 5];
const bytes = (count) => (count >= 1e6 ? `${digits(count / 1e6)} MB` : count >= 1e3 ? `${digits(count / 1e3)} kB` : `${Math.round(count)} B`);
const known = (value) => value !== null && value !== undefined;

const COSTS = {
  latency_us: { name: "Latency", note: "of one input", text: time },
  period_us: { name: "Period", note: "between results when inputs keep coming", text: time },
  error: { name: "Error", note: "relative error of the result", text: (value) => digits(value, 2) },
  nbytes: { name: "Bytes sent", note: "over links for one input", text: bytes },
  energy_mj: { name: "Energy", note: "of one input", text: (value) => `${digits(value)} mJ` },
  memory_nbytes: { name: "Weights", note: "bytes on all devices", text: bytes },
};
const objectiveField = { latency: "latency_us", throughput: "period_us", energy: "energy_mj", bytes: "nbytes" }[plan.objective] || "latency_us";

function pick(name, choices, current, choose) {
  return choices.length < 2 ? null : el("div", { class: "switch", role: "group", "aria-label": name }, choices.map(([value, title]) =>
    el("button", { type: "button", class: "chip", "data-pick": value, "aria-pressed": String(value === current), onclick: () => choose(value) }, title)));
}

// A part of the page that is drawn again when one of its choices changes, and keeps the focus then.
function part(draw) {
  const node = el("div");
  const again = () => {
    const focused = node.contains(document.activeElement) ? document.activeElement.dataset.pick : null;
    hideTip();
    fill(node, {}, []).replaceChildren(...[draw(again)].flat().filter(Boolean));
    if (node.isConnected) startFigures(node);
    if (focused) node.querySelector(`[data-pick="${CSS.escape(focused)}"]`)?.focus();
  };
  again();
  return node;
}

const startFigures = (node) => node.querySelectorAll("figure").forEach((one) => one.start && one.start());

function chart(title, note, about, draw, after) {
  const node = figure(title, note, about, draw, after);
  node.querySelector(".canvas").about = `${title}. ${about} Use the arrow keys to go through it; the same is in the table below.`;
  return node;
}

function swatch(kind) {
  return sv("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" }, sv("rect", { class: kind, x: 1, y: 1, width: 12, height: 12, rx: 3 }));
}

function section(id, title, about, ...parts) {
  return el("section", { id, "aria-labelledby": `${id}-title` }, el("h2", { id: `${id}-title` }, title), about && el("p", { class: "about" }, about), ...parts);
}
