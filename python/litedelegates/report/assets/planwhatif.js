// What another bandwidth would change: the best plan, each device alone, and where the cut moves.

function whatIf() {
  const found = plan.what_if;
  if (!found || found.points.length < 2) return null;
  const names = [...new Set(found.points.flatMap(([, , alone]) => Object.keys(alone)))];
  const rows = found.points.map(([mbps, us, alone]) => [`${digits(mbps)} Mbit/s`, regimeAt(mbps).label, time(us), ...names.map((name) => time(alone[name]))]);
  const breaks = found.regimes.slice(1).map((one) => `${digits(one.low)} Mbit/s`);
  const about = breaks.length ? `The best plan changes at ${breaks.join(", ")}.` : "One plan is the best for all of them.";
  return section("what-if", "If the link were another", `${about} Each colour of the strip is a plan; the dashed line is the bandwidth this one was made for.`,
    el("ul", { class: "legend", "aria-label": "Legend" }, el("li", {}, swatch("f-accent"), "best plan"), names.map((name) => el("li", {}, swatch(`f${deviceHue(name)}`), `all on ${name}`))),
    chart(`Latency over the bandwidth${found.link ? ` of ${found.link}` : ""}`, plural(found.regimes.length, "best plan"), about, (width) => drawWhatIf(width, names), [
      el("ol", { class: "regimes" }, found.regimes.map((one, i) => el("li", {}, el("span", { class: `regime-dot r${i % 2}` }, i + 1), el("span", {}, one.label), el("small", {}, `${digits(one.low)} to ${digits(one.high)} Mbit/s`)))),
      alternative(["Bandwidth", "Best plan", "Its latency", ...names.map((name) => `All on ${name}`)], rows, "The best plan for each bandwidth")]));
}

const regimeAt = (mbps) => plan.what_if.regimes.find((one) => mbps < one.high) || plan.what_if.regimes[plan.what_if.regimes.length - 1];

function drawWhatIf(width, names) {
  const { points, regimes, now } = plan.what_if, left = 66, right = width - 14, top = 36, bottom = 320, height = bottom + 44, svg = sv("svg");
  const bests = points.map((one) => one[1]), low = points[0][0], high = points[points.length - 1][0];
  // A device alone over a slow link is far off: the axis follows the best plan and leaves it.
  const most = Math.min(Math.max(...points.flatMap(([, us, alone]) => [us, ...Object.values(alone)])), 20 * Math.max(...bests));
  const x = logScale(low, high, left, right), y = logScale(...spread([Math.min(...bests), most], 0.06), bottom, top), unit = axisUnit([Math.min(...bests), most]);
  xAxis(svg, x, { top, bottom, most: Math.max(3, Math.floor((right - left) / 70)), text: tick, title: "bandwidth in Mbit/s (logarithmic)", from: left, to: right });
  for (const value of y.ticks(5)) {
    const at = Math.round(y(value)) + 0.5;
    svg.append(sv("line", { class: "rule", x1: left, x2: right, y1: at, y2: at }), sv("text", { x: left - 8, y: at + 4, "text-anchor": "end" }, `${tick(value / unit.size)} ${unit.name}`));
  }
  regimes.forEach((one, i) => {
    const from = x(one.low), wide = x(one.high) - from;
    svg.append(mark(one.label, [`best from ${digits(one.low)} to ${digits(one.high)} Mbit/s`], {}, sv("rect", { class: `regime r${i % 2}`, x: from, y: top, width: wide, height: bottom - top }), sv("rect", { class: `anchor regime-head r${i % 2}`, x: from, y: 10, width: Math.max(1, wide - 1), height: 22, rx: 4 }),
      wide > 15 ? sv("text", { class: "regime-name", x: from + wide / 2, y: 25.5, "text-anchor": "middle" }, one.label.length * 6.6 + 10 < wide ? one.label : i + 1) : null));
  });
  const clip = "what-if-clip", line = (own) => own.filter(([, us]) => known(us)).map(([mbps, us], i) => `${i ? "L" : "M"}${x(mbps)},${y(us)}`).join("");
  svg.append(sv("defs", {}, sv("clipPath", { id: clip }, sv("rect", { x: left, y: top, width: right - left, height: bottom - top }))));
  for (const name of names) svg.append(sv("path", { class: `alone s${deviceHue(name)}`, "clip-path": `url(#${clip})`, d: line(points.map(([mbps, , alone]) => [mbps, alone[name]])) }));
  svg.append(sv("path", { class: "best-line", "clip-path": `url(#${clip})`, d: line(points) }));
  if (now && now >= low && now <= high) svg.append(sv("line", { class: "now", x1: x(now), x2: x(now), y1: top, y2: bottom }));
  for (const [mbps, us, alone] of points)
    svg.append(mark(`${digits(mbps)} Mbit/s: ${regimeAt(mbps).label}`, [`Best plan ${time(us)}`, ...names.filter((name) => known(alone[name])).map((name) => `All on ${name} ${time(alone[name])}`)], { transform: `translate(${x(mbps)} ${y(us)})` }, sv("circle", { class: "hit", r: 10 }), sv("circle", { class: "dot anchor", r: 3 })));
  return { svg, height };
}
