// Many clients over time: latencies, queues, and how busy everything is.

function simulation() {
  const found = plan.simulation;
  if (!found) return null;
  const facts = [["Done", `${digits(found.throughput_per_s)} /s`], ["Half within", time(found.p50_us)], ["95 % within", time(found.p95_us)], ["99 % within", time(found.p99_us)], ["Left early", String(found.left_early)], ["Fell back", String(found.fell_back)], ["Lost", String(found.lost)], ["Turned away", String(found.turned_away)]];
  const stations = found.stations.map((one) => [one.name, one.copies > 1 ? `${one.copies.toLocaleString("en")}` : "1", String(one.slots), percent(one.utilisation), digits(one.waiting), String(one.most_waiting), percent(one.down)]);
  return section("simulation", "Many clients over time", `Simulated: ${found.load}, for ${digits(found.seconds)} s, drawn by seed ${found.seed}.`,
    el("div", { class: "figures-row" }, facts.filter(([name, text]) => !["Fell back", "Lost", "Turned away"].includes(name) || text !== "0").map(([name, text]) => el("div", { class: "figure-card" }, el("span", { class: "what" }, name), el("strong", {}, text)))),
    el("div", { class: "pair" },
      found.quantiles_us.length ? chart("Latency", `mean ${time(found.mean_us)}`, `Half of the inputs take less than ${time(found.p50_us)}, 99 percent less than ${time(found.p99_us)}.`, drawQuantiles, alternative(["Share", "Latency below"], [0, 5, 25, 50, 75, 90, 95, 99, 100].map((share) => [`${share} %`, time(found.quantiles_us[share])]), "Latency by share of inputs")) : null,
      chart("Waiting", "inputs in the queue of each", `The most that waited: ${found.stations.map((one) => `${one.most_waiting} for ${one.name}`).join(", ")}.`, drawQueues, alternative(["", "Copies", "Slots", "Busy", "Waiting, mean", "Most", "Down"], stations, "Devices and links"))));
}

function frameOf(width, values, titleX, from, to, most) {
  const left = 58, right = width - 12, top = 12, bottom = 236, svg = sv("svg"), x = linearScale(from, to, left, right), y = linearScale(0, Math.max(...values) * 1.06 || 1, bottom, top);
  xAxis(svg, x, { top, bottom, most: Math.max(3, Math.floor((right - left) / 64)), text: most, title: titleX, from: left, to: right });
  return { svg, x, y, left, right, bottom, height: bottom + 44 };
}

function drawQuantiles(width) {
  const all = plan.simulation.quantiles_us, unit = unitFor(all[50] || 1), f = frameOf(width, [all[99]], "share of inputs in percent", 0, 100, tick);
  for (const value of f.y.ticks(4)) f.svg.append(sv("line", { class: "rule", x1: f.left, x2: f.right, y1: f.y(value), y2: f.y(value) }), sv("text", { x: f.left - 7, y: f.y(value) + 4, "text-anchor": "end" }, value ? `${tick(value / unit.size)} ${unit.name}` : "0"));
  const line = all.slice(0, 100).map((us, share) => `${share ? "L" : "M"}${f.x(share)},${f.y(us)}`).join("");
  f.svg.append(sv("path", { class: "quantile-area", d: `${line}V${f.bottom}H${f.left}z` }), sv("path", { class: "best-line", d: line }));
  for (const share of [50, 95, 99]) f.svg.append(mark(`${share} % of the inputs`, [`take at most ${time(all[share])}`], { transform: `translate(${f.x(share)} ${f.y(all[share])})` }, sv("circle", { class: "hit", r: 12 }), sv("circle", { class: "dot anchor", r: 4 })));
  return f;
}

function drawQueues(width) {
  const { stations, queues, sampled_s: times } = plan.simulation, f = frameOf(width, queues.flat().concat(1), "seconds", 0, times[times.length - 1] || 1, tick);
  for (const value of f.y.ticks(4).filter(Number.isInteger)) f.svg.append(sv("line", { class: "rule", x1: f.left, x2: f.right, y1: f.y(value), y2: f.y(value) }), sv("text", { x: f.left - 7, y: f.y(value) + 4, "text-anchor": "end" }, value));
  stations.forEach((one, k) => {
    const hue = one.kind === "link" ? 0 : deviceHue(one.name), last = queues[k][queues[k].length - 1] || 0;
    f.svg.append(mark(one.name, [`busy ${percent(one.utilisation)}`, `${digits(one.waiting)} waiting in the mean, ${one.most_waiting} at most`], {}, sv("path", { class: `queue s${hue}`, d: queues[k].map((count, i) => `${i ? "L" : "M"}${f.x(times[i])},${f.y(count)}`).join("") }), sv("circle", { class: `anchor f${hue}`, cx: f.x(times[times.length - 1]), cy: f.y(last), r: 3.5 })));
  });
  return f;
}
