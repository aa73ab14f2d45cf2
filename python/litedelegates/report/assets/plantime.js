// Who works when: a lane for each device and link, a block for each stage and message.

function timelines() {
  if (!plan.timelines.length || !plan.timelines[0].spans.length) return null;
  let shown = 0;
  return section("time", "Who works when", "Predicted times without any chance in them. Inputs that come at once share the devices: while one is on the server, the next is on the first device.", part((again) => {
    const { name, spans } = plan.timelines[shown], end = Math.max(...spans.map((span) => span[4]));
    const rows = spans.map(([number, station, label, from, to]) => [`input ${number + 1}`, station, label, time(from), time(to)]);
    return [pick("Inputs", plan.timelines.map((one, i) => [String(i), one.name]), String(shown), (value) => { shown = Number(value); again(); }),
      chart(name, `done after ${time(end)}`, Object.entries(plan.busy).map(([station, us]) => `${station} works ${time(us)} on each input`).join("; ") + ".", (width) => drawTimeline(width, spans, end), alternative(["Input", "Where", "What", "From", "To"], rows, `Timeline of ${name}`))];
  }));
}

function drawTimeline(width, spans, end) {
  const stations = [...new Set([...plan.devices, ...Object.keys(plan.busy)])].filter((name) => spans.some((span) => span[1] === name)), narrow = width < 520;
  const left = narrow ? 4 : 16 + Math.max(...stations.map((name) => Math.min(name.length, 14))) * 7.2, right = width - 10, lane = narrow ? 52 : 40, unit = unitFor(end), svg = sv("svg");
  const rows = stations.map((name) => stack(spans.filter((span) => span[1] === name))), tops = [];
  let top = 4;
  rows.forEach((row, i) => { tops[i] = top; top += (narrow ? 20 : 6) + row.lanes * (lane - 12) + 4; });
  const bottom = top, x = linearScale(0, end, left, right);
  xAxis(svg, x, { top: 0, bottom, most: Math.max(3, Math.floor((right - left) / 80)), text: (value) => tick(value / unit.size), title: `time in ${unit.name}`, from: left, to: right });
  stations.forEach((name, i) => {
    svg.append(sv("text", { class: "name", x: narrow ? left : left - 10, y: narrow ? tops[i] + 13 : tops[i] + 18, "text-anchor": narrow ? "start" : "end" }, short(name, 14)));
    for (const [span, at] of rows[i].placed) {
      const [number, , label, from, to] = span, y = tops[i] + (narrow ? 18 : 2) + at * (lane - 12), wide = Math.max(1.5, x(to) - x(from) - 1);
      const words = label.length * 6.6 + 12 < wide ? label : String(number + 1);
      svg.append(mark(`Input ${number + 1}, ${label}`, [`${name}: ${time(from)} to ${time(to)}`, `takes ${time(to - from)}`], {}, sv("rect", { class: `anchor span f${plan.devices.includes(name) ? deviceHue(name) : 0} turn${number % 4}`, x: x(from), y, width: wide, height: lane - 15, rx: 4 }),
        wide > 16 ? sv("text", { class: "span-name", x: x(from) + wide / 2, y: y + lane / 2 - 3.5, "text-anchor": "middle" }, words) : null));
    }
  });
  return { svg, height: bottom + 42 };
}

// Messages on their way overlap: each goes to the first lane that is free.
function stack(spans) {
  const ends = [], placed = [];
  for (const span of [...spans].sort((a, b) => a[3] - b[3])) {
    let at = ends.findIndex((end) => end <= span[3] + 1e-6);
    if (at < 0) at = ends.length;
    ends[at] = span[4];
    placed.push([span, at]);
  }
  return { placed, lanes: Math.max(1, ends.length) };
}
