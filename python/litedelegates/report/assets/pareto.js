// Latency against what it costs: a point is on the front when nothing is both faster and better.

const MEASURES = {
  accuracy: { name: "Accuracy", axis: "accuracy on the labelled inputs", of: (cell) => cell.accuracy, text: (value) => `${Number((value * 100).toFixed(2))} %`, better: 1 },
  relative: { name: "Relative error", axis: "relative error (logarithmic)", of: (cell) => (cell.error ? cell.error.relative : null), text: (value) => digits(value, 2), better: -1 },
  max_abs: { name: "Largest error", axis: "largest error of an output value (logarithmic)", of: (cell) => (cell.error ? cell.error.max_abs : null), text: (value) => digits(value, 2), better: -1 },
};
let chosenMeasure = Object.keys(MEASURES).find((name) => study.cells.some((cell) => MEASURES[name].of(cell) != null));

function measureSwitch() {
  const there = Object.keys(MEASURES).filter((name) => study.cells.some((cell) => MEASURES[name].of(cell) != null));
  if (there.length < 2) return null;
  return el("div", { class: "switch", role: "group", "aria-label": "Compare latency with" }, there.map((name) =>
    el("button", { type: "button", class: "chip", "data-measure": name, "aria-pressed": String(name === chosenMeasure), onclick: () => { chosenMeasure = name; render(`[data-measure="${name}"]`); } }, MEASURES[name].name)));
}

function tradeOff(model, cells) {
  const measure = MEASURES[chosenMeasure];
  const points = measure ? cells.filter((cell) => measured(cell) && measure.of(cell) != null).sort((a, b) => a.median_us - b.median_us) : [];
  if (!points.length) return null;
  const front = frontOf(points, measure);
  const rows = points.map((cell) => [cell.label, timeRange(cell.median_us, cell.interval_us), measure.text(measure.of(cell)), front.includes(cell) ? "yes" : "no"]);
  return figure(model.name, `${plural(front.length, "configuration")} on the front`, `Nothing is both faster and better than: ${front.map((cell) => cell.label).join("; ")}.`,
    (width) => drawTradeOff(width, points, front, measure),
    alternative(["Configuration", "Median latency", measure.name, "On the front"], rows, `Latency and ${measure.name.toLowerCase()} of ${model.name}`));
}

function frontOf(points, measure) {
  let best = -Infinity;
  return points.filter((cell) => {
    const value = measure.of(cell) * measure.better;
    if (value <= best) return false;
    best = value;
    return true;
  });
}

function valueScale(values, measure, bottom, top) {
  if (measure.better > 0) {
    const low = Math.min(...values), high = Math.max(...values), room = Math.max((high - low) * 0.12, 0.002);
    return linearScale(Math.max(0, low - room), Math.min(1, high + room), bottom, top);
  }
  const positive = values.filter((value) => value > 0);
  const [low, high] = positive.length ? spread(positive, 0.08, 4) : [0.1, 1];
  const exact = values.some((value) => value <= 0), floor = exact ? bottom - 26 : bottom;
  const log = logScale(low, high, floor, top);
  const scale = (value) => (value > 0 ? log(value) : bottom - 6);
  scale.ticks = (most) => (exact ? [0] : []).concat(log.ticks(most));
  return scale;
}

function drawTradeOff(width, points, front, measure) {
  const height = Math.round(Math.max(270, Math.min(400, width * 0.62))), left = 62, right = width - 16, top = 16, bottom = height - 46;
  const x = logScale(...spread(points.map((cell) => cell.median_us), 0.09), left, right);
  const y = valueScale(points.map(measure.of), measure, bottom, top);
  const unit = axisUnit(points.map((cell) => cell.median_us));
  const svg = sv("svg");
  xAxis(svg, x, { top, bottom, most: Math.max(3, Math.floor((right - left) / 70)), text: (value) => tick(value / unit.size), title: `median latency in ${unit.name} (logarithmic); left is faster`, from: left, to: right });
  for (const value of y.ticks(5)) {
    const at = Math.round(y(value)) + 0.5;
    svg.append(sv("line", { class: "rule", x1: left, x2: right, y1: at, y2: at }), sv("text", { x: left - 8, y: at + 4, "text-anchor": "end" }, measure.better < 0 ? smallTick(value) : measure.text(value)));
  }
  svg.append(sv("text", { class: "title", x: 0, y: 0, transform: `translate(11 ${(top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, short(measure.axis, Math.floor((bottom - top) / 6))));
  const steps = front.map((cell, i) => `${i ? `H${x(cell.median_us)}V` : `M${x(cell.median_us)},`}${y(measure.of(cell))}`).join("");
  if (front.length) svg.append(sv("path", { class: "front", d: `${steps.replace(/^M/, `M${x(front[0].median_us)},${measure.better > 0 ? bottom : top}L`)}H${right}` }));
  const taken = points.map((cell) => ({ x: x(cell.median_us) - 7, y: y(measure.of(cell)) - 7, w: 14, h: 14 }));
  for (const cell of points) {
    const at = [x(cell.median_us), y(measure.of(cell))], isFront = front.includes(cell);
    svg.append(mark(cell, { transform: `translate(${at[0]} ${at[1]})` }, sv("circle", { class: "hit", r: 13 }),
      sv("path", { class: `shape anchor f${colour(cell.delegate)}`, d: shape(cell.precision, isFront ? 6.5 : 5) }), isFront ? nameBeside(cell, at, right, top, taken) : null));
  }
  return { svg, height };
}

// A name goes where it covers neither a point nor another name; where there is no such place the tooltip has it.
function nameBeside(cell, [x, y], right, top, taken) {
  const words = short(cell.label, 30), w = words.length * 6.4, h = 14;
  for (const [dx, dy, anchor] of [[12, 4, "start"], [0, -13, "middle"], [0, 22, "middle"], [-12, 4, "end"], [10, -10, "start"], [10, 18, "start"]]) {
    const box = { x: x + dx - (anchor === "middle" ? w / 2 : anchor === "end" ? w : 0), y: y + dy - 11, w, h };
    const clash = taken.some((b) => box.x < b.x + b.w && b.x < box.x + box.w && box.y < b.y + b.h && b.y < box.y + box.h);
    if (clash || box.x < 64 || box.x + w > right + 14 || box.y < top - 14) continue;
    taken.push(box);
    return sv("text", { class: "name", x: dx, y: dy, "text-anchor": anchor }, words);
  }
  return null;
}
