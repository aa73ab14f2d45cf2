// The plans that nothing beats in all respects at once.

function paretoFront() {
  if (plan.front.length < 2) return null;
  const there = Object.keys(COSTS).filter((name) => name !== "latency_us" && new Set(plan.front.map((one) => one[name]).filter(known)).size > 1);
  if (!there.length) return null;
  let current = there.includes("error") ? "error" : there[0];
  return section("front", "What else could be had", "Each point is a plan of its own, the best there is for what it spends. Left is quicker, low is cheaper; the ring is this plan.", part((again) => {
    const points = plan.front.filter((one) => known(one[current])).sort((a, b) => a.latency_us - b.latency_us);
    const rows = points.map((one) => [one.label, ...Object.entries(COSTS).filter(([name]) => known(one[name])).map(([name, cost]) => cost.text(one[name]))]);
    const head = ["Plan", ...Object.entries(COSTS).filter(([name]) => known(points[0][name])).map(([, cost]) => cost.name)];
    return [pick("Latency against", there.map((name) => [name, COSTS[name].name]), current, (value) => { current = value; again(); }),
      chart(`Latency and ${COSTS[current].name.toLowerCase()}`, plural(points.length, "plan"), `From ${time(points[0].latency_us)} to ${time(points[points.length - 1].latency_us)}.`, (width) => drawFront(width, points, current), alternative(head, rows, `Latency and ${COSTS[current].name.toLowerCase()} of other plans`))];
  }));
}

function drawFront(width, points, name) {
  const cost = COSTS[name], height = Math.round(Math.max(280, Math.min(420, width * 0.46))), left = 66, right = width - 18, top = 14, bottom = height - 46, svg = sv("svg");
  const all = [...points, { ...plan.costs, label: "This plan", own: true }], latencies = all.map((one) => one.latency_us), values = all.map((one) => one[name]).filter(known);
  const x = logScale(...spread(latencies, 0.08), left, right), unit = axisUnit(latencies), most = Math.max(...values), y = linearScale(0, most * 1.06 || 1, bottom, top);
  xAxis(svg, x, { top, bottom, most: Math.max(3, Math.floor((right - left) / 80)), text: (value) => tick(value / unit.size), title: `latency in ${unit.name} (logarithmic)`, from: left, to: right });
  for (const value of y.ticks(5)) {
    const at = Math.round(y(value)) + 0.5;
    svg.append(sv("line", { class: "rule", x1: left, x2: right, y1: at, y2: at }), sv("text", { x: left - 8, y: at + 4, "text-anchor": "end" }, value ? cost.text(value) : "0"));
  }
  let best = Infinity, path = "";
  const staircase = points.filter((one) => (one[name] < best ? ((best = one[name]), true) : false));
  staircase.forEach((one, i) => { path += i ? `H${x(one.latency_us)}V${y(one[name])}` : `M${x(one.latency_us)},${top}V${y(one[name])}`; });
  if (path) svg.append(sv("path", { class: "front-area", d: `${path}H${right}V${top}z` }), sv("path", { class: "front", d: `${path}H${right}` }));
  for (const one of all) {
    if (!known(one[name])) continue;
    const lines = Object.entries(COSTS).filter(([field]) => known(one[field])).map(([field, other]) => `${other.name} ${other.text(one[field])}`);
    svg.append(mark(one.label, lines, { transform: `translate(${x(one.latency_us)} ${y(one[name])})` }, sv("circle", { class: "hit", r: 14 }),
      one.own ? sv("circle", { class: "this-plan anchor", r: 9 }) : sv("circle", { class: `shape anchor ${staircase.includes(one) ? "f1" : "f0"}`, r: staircase.includes(one) ? 5.5 : 4 })));
  }
  return { svg, height };
}
