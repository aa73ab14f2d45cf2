// How much faster than the reference, with the interval of each ratio.

function speedUps(model, cells) {
  const ordered = cells.filter((cell) => measured(cell) && cell.speed_up).sort((a, b) => b.speed_up.ratio - a.speed_up.ratio);
  if (!ordered.length) return null;
  const fastest = ordered[0];
  const head = ["Configuration", "Speed-up", "Interval", "Verdict", "Rounds compared", "Reference"];
  const rows = ordered.map(({ label, speed_up: s, base_label }) => [label, `${digits(s.ratio)}×`, s.low === null ? "too few rounds" : `${digits(s.low)} to ${digits(s.high)}`, s.verdict, s.rounds, base_label]);
  return figure(model.name, `reference: ${model.bases.join("; ")}`,
    `The fastest is ${fastest.label} at ${ratio(fastest.speed_up)}.`,
    (width) => drawSpeedUps(width, ordered), [unmeasured(cells), alternative(head, rows, `Speed-ups of ${model.name}`)]);
}

function drawSpeedUps(width, cells) {
  const layout = rowLayout(width, cells, 30, 168), top = 6, bottom = top + cells.length * layout.row;
  const ends = cells.flatMap(({ speed_up: s }) => [s.low === null ? s.ratio : s.low, s.high === null ? s.ratio : s.high]);
  const [low, high] = spread([1, ...ends], 0.03);
  const x = logScale(low, high, layout.left, layout.right);
  const svg = sv("svg");
  xAxis(svg, x, { top, bottom, most: Math.max(3, Math.floor((layout.right - layout.left) / 64)), text: (value) => `${tick(value)}×`, title: "times as fast as the reference (logarithmic)", from: layout.left, to: layout.right });
  cells.forEach((cell, i) => {
    const y = top + i * layout.row, middle = layout.middle(y), s = cell.speed_up, unsure = !cell.is_base && s.verdict === "no difference shown";
    const from = Math.min(x(1), x(s.ratio)), hue = colour(cell.delegate);
    const whisker = s.low !== null && !cell.is_base && sv("path", { class: "whisker", d: `M${x(s.low)},${middle}H${x(s.high)}M${x(s.low)},${middle - 4}v8M${x(s.high)},${middle - 4}v8` });
    svg.append(mark(cell, {}, layout.hit(y), layout.name(cell, y),
      sv("rect", { class: `bar shape anchor f${hue} ${unsure ? `unsure s${hue}` : ""}`, x: from, y: middle - 8, width: Math.max(2, Math.abs(x(s.ratio) - x(1))), height: 16, rx: 2.5 }),
      whisker, cell.is_base ? layout.value(y, "1× · reference", "aside") : layout.value(y, ratio(s))));
  });
  const one = Math.round(x(1)) + 0.5;
  svg.append(sv("line", { class: "base", x1: one, x2: one, y1: top, y2: bottom }));
  return { svg, height: bottom + 44 };
}
