// Every run that was kept: the shape of the times, and their course over the rounds.

let relativeTimes = true;

function timesSwitch() {
  return el("div", { class: "switch", role: "group", "aria-label": "Scale of the distributions" }, [[true, "Against its own median"], [false, "In time"]].map(([value, text]) =>
    el("button", { type: "button", class: "chip", "data-times": value, "aria-pressed": String(value === relativeTimes), onclick: () => { relativeTimes = value; render(`[data-times="${value}"]`); } }, text)));
}

function distributions(model, cells) {
  const ordered = cells.filter((cell) => measured(cell) && cell.histogram).sort((a, b) => a.median_us - b.median_us);
  if (!ordered.length) return null;
  const head = ["Configuration", "Runs", "Median", "Mean", "Least", "Most", "p90", "p95", "p99", "Outliers"];
  const few = (value) => (value === null ? "n too small" : time(value));
  const rows = ordered.map(({ label, stats: s }) => [label, s.count, time(s.median_us), time(s.mean_us), time(s.min_us), time(s.max_us), few(s.p90_us), few(s.p95_us), few(s.p99_us), s.outliers]);
  return figure(model.name, `${ordered.reduce((sum, cell) => sum + cell.stats.count, 0).toLocaleString("en")} runs`,
    `Medians go from ${time(ordered[0].median_us)} to ${time(ordered[ordered.length - 1].median_us)}.`,
    (width) => drawDistributions(width, ordered), alternative(head, rows, `Distribution of the times of ${model.name}`));
}

function drawDistributions(width, cells) {
  const layout = rowLayout(width, cells, 40, 84), top = 8, bottom = top + cells.length * layout.row;
  const per = (cell) => (relativeTimes ? cell.median_us : 1);
  const ends = cells.flatMap((cell) => { const { edges_us: edges } = cell.histogram; return [edges[0], edges[edges.length - 1], ...(cell.interval_us || [])].map((us) => us / per(cell)); });
  const scale = logScale(...spread(ends, 0.02), layout.left, layout.right), unit = axisUnit(ends), svg = sv("svg");
  xAxis(svg, scale, { top, bottom, most: Math.max(3, Math.floor((layout.right - layout.left) / 62)), text: (value) => (relativeTimes ? `${tick(value)}×` : tick(value / unit.size)), title: relativeTimes ? "latency of a run over the median (logarithmic)" : `latency of a run in ${unit.name} (logarithmic)`, from: layout.left, to: layout.right });
  cells.forEach((cell, i) => {
    const x = (us) => scale(us / per(cell)), y = top + i * layout.row, floor = y + layout.row - 7, hue = colour(cell.delegate), { edges_us: edges, counts } = cell.histogram;
    const high = Math.max(...counts), tall = 30, points = counts.map((count, k) => `L${x(edges[k])},${floor - (count / high) * tall}L${x(edges[k + 1])},${floor - (count / high) * tall}`).join("");
    const span = cell.interval_us && sv("line", { class: `s${hue}`, "stroke-width": 4, x1: x(cell.interval_us[0]), x2: Math.max(x(cell.interval_us[1]), x(cell.interval_us[0]) + 1), y1: floor + 2, y2: floor + 2 });
    svg.append(mark(cell, {}, layout.hit(y), layout.name(cell, y),
      sv("path", { class: `ridge f${hue} s${hue}`, d: `M${x(edges[0])},${floor}${points}L${x(edges[edges.length - 1])},${floor}z` }),
      sv("line", { class: "whisker anchor", x1: x(cell.median_us), x2: x(cell.median_us), y1: floor - tall, y2: floor + 4 }), span,
      cell.histogram.beyond > 0.001 && sv("text", { class: "aside", x: layout.right, y: floor - 6, "text-anchor": "end" }, `${percent(cell.histogram.beyond)} further out`),
      layout.value(y, time(cell.median_us))));
  });
  return { svg, height: bottom + 44 };
}

// The median of each round: a drift of the machine shows as a slope, a disturbance as a step.
function drawRounds(width, cell) {
  const height = 170, left = 52, right = width - 10, top = 10, bottom = height - 42, last = Math.max(1, cell.rounds.length - 1);
  const values = cell.rounds.map(([, us]) => us), low = Math.min(...values), high = Math.max(...values), room = Math.max((high - low) * 0.1, low * 0.01);
  const unit = unitFor(low), x = linearScale(0, last, left, right), y = linearScale(low - room, high + room, bottom, top), svg = sv("svg");
  xAxis(svg, x, { top, bottom, most: Math.min(8, last + 1), text: (value) => (Number.isInteger(value) ? String(value) : ""), title: "round", from: left, to: right });
  for (const value of y.ticks(4)) svg.append(sv("line", { class: "rule", x1: left, x2: right, y1: y(value), y2: y(value) }), sv("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, digits(value / unit.size)));
  fill(svg, {}, [sv("text", { class: "title", x: left - 8, y: bottom + 17, "text-anchor": "end" }, unit.name),
    sv("path", { class: `s${colour(cell.delegate)}`, fill: "none", "stroke-width": 1.5, d: values.map((us, i) => `${i ? "L" : "M"}${x(i)},${y(us)}`).join("") }),
    values.map((us, i) => sv("circle", { class: `f${colour(cell.delegate)}`, cx: x(i), cy: y(us), r: 2.4 }))]);
  return { svg, height };
}
