// Who ran which part of the network, from the first op to the last.

function stretches(ops) {
  const found = [];
  ops.forEach(([name, ran], i) => {
    const last = found[found.length - 1];
    if (last && last.ran === ran) { last.to = i; last.names.push(name); }
    else found.push({ ran, from: i, to: i, names: [name] });
  });
  return found;
}

function sayStretch({ ran, from, to, names }) {
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) || 0) + 1);
  const kinds = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 4).map(([name, count]) => (count > 1 ? `${count} ${name}` : name));
  return `${from === to ? `op ${from}` : `ops ${from} to ${to}`} on ${ran}: ${kinds.join(", ")}${counts.size > 4 ? ", …" : ""}`;
}

function placements(model, cells) {
  const known = cells.filter((cell) => cell.ops.length);
  if (!known.length) return null;
  const whole = known.filter((cell) => new Set(cell.ops.map(([, ran]) => ran)).size === 1);
  const hosts = [...new Set(known.flatMap((cell) => cell.ops.map(([, ran]) => ran)))];
  const rows = known.map((cell) => [cell.label, placed(cell), stretches(cell.ops).map(sayStretch).join("; ")]);
  return figure(model.name, "first op left, last op right", `${whole.length} of ${plural(known.length, "configuration")} ran all ops in one place.`,
    (width) => drawPlacements(width, known),
    [el("ul", { class: "legend", "aria-label": "Who ran it" }, hosts.map((name) => el("li", {}, sv("svg", { viewBox: "-7 -7 14 14", "aria-hidden": "true" }, sv("path", { d: SHAPES.square(5.5), class: `f${colour(name)}` })), name === "builtin" ? "built-in kernels" : name))),
      alternative(["Configuration", "Ops", "Along the network"], rows, `Placement of the ops of ${model.name}`)]);
}

function drawPlacements(width, cells) {
  const layout = rowLayout(width, cells, 30, 84), top = 4, svg = sv("svg");
  cells.forEach((cell, i) => {
    const y = top + i * layout.row, middle = layout.middle(y), count = cell.ops.length, gap = (layout.right - layout.left) / count > 5 ? 1 : 0;
    const x = linearScale(0, count, layout.left, layout.right), parts = stretches(cell.ops);
    svg.append(mark(cell, { "aria-label": `${cell.model} ${cell.label}. ${parts.map(sayStretch).join(". ")}` }, layout.hit(y), layout.name(cell, y),
      cell.ops.map(([name, ran], k) => sv("rect", { class: `f${colour(ran)}`, "data-text": `op ${k}, ${name}: ${ran}`, x: x(k), y: middle - 8, width: Math.max(0.5, x(k + 1) - x(k) - gap), height: 16 })),
      layout.value(y, parts.length === 1 ? `all ${count}` : `${cell.placement[0][1]} of ${count}`)));
  });
  return { svg, height: top + cells.length * layout.row + 10 };
}
