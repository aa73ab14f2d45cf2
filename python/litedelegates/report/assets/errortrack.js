// Error and bytes along the depth of the network.

const LAYER_MEASURES = {
  sqnr_db: { name: "SQNR", note: "signal to noise in dB: higher is better", text: (value) => `${tick(value)} dB` },
  rmse_over_scale: { name: "RMSE / scale", note: "in steps of the output's scale: rounding alone makes 0.29", text: smallTick, base: 0.2887 },
  max_abs: { name: "Largest", note: "largest difference of a value: lower is better", text: smallTick },
};

function errorScale(p, values, isLog) {
  if (isLog) return logScale(...(values.length ? spread(values, 0.06, 4) : [0.1, 1]), p.bottom - 12, p.top + 12);
  const low = Math.min(0, ...values), high = Math.max(low + 1, ...values);
  return linearScale(low, high * 1.04, p.bottom, p.top + 12);
}

function drawErrors(view, width) {
  const p = plot(view, width, 190), measure = LAYER_MEASURES[view.measure], isLog = view.measure !== "sqnr_db";
  const series = errorsOf(view, view.kind).filter((one) => one[view.measure]), drawn = (value) => finite(value) && (!isLog || value > 0);
  const r = Math.max(1.2, Math.min(4, p.band / 3)), values = series.flatMap((one) => p.at.map((at) => one[view.measure][at]).filter(drawn));
  const y = errorScale(p, measure.base ? [...values, measure.base] : values, isLog);
  axes(p, y, 5, measure.text);
  if (measure.base) p.svg.append(sv("line", { class: "base dashed", x1: p.left, x2: p.right, y1: Math.round(y(measure.base)) + 0.5, y2: Math.round(y(measure.base)) + 0.5 }));
  for (const one of series) {
    const column = one[view.measure], hue = hueOf(one.precision), points = [];
    let line = "", open = false, exact = "", broken = "";
    for (const at of p.at) {
      const x = px(p.x(at + 0.5)), value = column[at];
      if (drawn(value)) {
        line += `${open ? "L" : "M"}${x},${px(y(value))}`;
        points.push({ at, y: y(value) });
      } else if (value === "inf" && !isLog || value === 0) exact += `M${x},${p.top}m${-r},${1.5 * r}l${r},${-1.5 * r} ${r},${1.5 * r}z`;
      else if (value !== null) broken += `M${x},${p.bottom - 5}m-4,-4l8,8m0,-8l-8,8`;
      open = drawn(value);
    }
    p.svg.append(sv("path", { class: `depth-line s${hue}`, d: line }), sv("path", { class: `f${hue}`, d: exact }), sv("path", { class: "broken", d: broken }));
    if (p.band >= 5) dots(p, one.precision, points, 0, 1);
  }
  return bands(p);
}

// Layers without a point in the chart of errors, and the reason.
function errorGaps(view) {
  const groups = new Map(), isLog = view.measure !== "sqnr_db", said = new Map();
  for (const one of errorsOf(view, view.kind)) {
    view.data.layers.forEach((layer, at) => {
      const value = one[view.measure] ? one[view.measure][at] : null;
      const why = one.refusals[at] || (value === "inf" && !isLog || value === 0 ? "▴ No difference" : typeof value === "string" ? "× Not finite" : null);
      const key = JSON.stringify([why, one.precision]);
      if (why) groups.set(key, [...(groups.get(key) || []), layer.index]);
    });
  }
  const some = (list) => `${list.length === 1 ? "layer" : "layers"} ${list.slice(0, 12).join(", ")}${list.length > 12 ? ` and ${list.length - 12} more` : ""}`;
  for (const [key, list] of groups) {
    const [why, precision] = JSON.parse(key), same = JSON.stringify([why, some(list)]);
    said.set(same, [...(said.get(same) || []), precision]);
  }
  return [...said].map(([key, precisions]) => { const [why, where] = JSON.parse(key); return `${why}: ${where} (${precisions.join(", ")})`; });
}

function drawBytes(view, width) {
  const p = plot(view, width, 190), own = view.data.bytes[view.form], cuts = view.data.cuts[view.form];
  const most = Math.max(1, ...p.at.flatMap((at) => [own[at], cuts[at]]).filter(finite)), y = linearScale(0, most * 1.06, p.bottom, p.top);
  const [size, unit] = most >= 1e6 ? [1e6, "MB"] : most >= 1e3 ? [1e3, "kB"] : [1, "B"], alive = steps(p, y, [], cuts, 0, Infinity, Math.min);
  axes(p, y, 4, (value) => (value ? digits(value / size, 2) : `0 ${unit}`));
  const illegal = p.at.filter((at) => view.data.layers[at].refusal);
  p.svg.append(sv("path", { class: "depth-area f7 pale", d: steps(p, y, [], own, 0, 1).area }), sv("path", { class: "depth-line cut", d: alive.outline }),
    sv("path", { class: "illegal", d: illegal.map((at) => `M${px(p.x(at))},${p.bottom + 1}h${px(Math.max(1, p.band - 1))}v5h${px(-Math.max(1, p.band - 1))}z`).join("") }),
    sv("path", { class: "cheapest", d: view.data.findings.cuts.filter(([at]) => at >= view.from && at < view.to).map(([at]) => `M${px(p.x(at + 0.5))},${px(y(cuts[at]))}${GLYPHS[0](4)}`).join("") }));
  return bands(p);
}
