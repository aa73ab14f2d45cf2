// The network along its depth: who computes each layer, in which precision, for how long, and where it is cut.

function sayLayer(layer) {
  const where = `${layer.precision} on ${layer.device}, ${layer.delegate} ${layer.threads}t`;
  return [where, `${time(layer.us)}${layer.error > 0 ? `, error ${digits(layer.error, 2)}` : ""}, stage ${layer.stage}`, layer.reason].filter(Boolean);
}

function depth() {
  const precisions = [...new Set(plan.layers.map((layer) => layer.precision))];
  const rows = plan.cuts.flatMap((cut) => cut.tensors.map((one) => [one.tensor, cutName(cut), one.dtype, bytes(one.nbytes), one.link || "stays", one.link ? time(one.us) : "–"]));
  const borders = chapterList(["Borders and cuts"]);
  return section("depth", "Along the depth of the network", "Each bar is a layer, as high as it takes time, in the colour of its precision. The band above says which device has it; a line is a cut, with what travels there.",
    el("ul", { class: "legend", "aria-label": "Legend" }, precisions.map((name) => el("li", {}, swatch(`f${hueOf(name)}`), name)), plan.devices.length > 1 ? plan.devices.map((name) => el("li", {}, swatch(`f${deviceHue(name)} pale-device`), name)) : null),
    chart(plural(plan.layers.length, "layer"), plan.cuts.length ? plural(plan.cuts.length, "cut") : "no cut", `${plan.stages.map((stage) => `Stage ${stage.number} on ${stage.device} has ${plural(stage.layers, "layer")} and takes ${time(stage.us)}`).join("; ")}.`, drawDepth,
      rows.length ? alternative(["Tensor", "Where", "As", "Bytes", "Over", "Takes"], rows, "What is handed from stage to stage") : null),
    borders.childElementCount ? borders : null);
}

function cutName(cut) {
  if (cut.at === 0) return "the way in";
  return cut.at === plan.layers.length ? "the way out" : `before layer ${plan.layers[cut.at].index}`;
}

function drawDepth(width) {
  const left = width < 520 ? 42 : 56, right = width - 6, named = plan.cuts.filter((cut) => cut.tensors.some((one) => one.link)), lanes = named.length ? (width < 520 ? 3 : 2) : 0;
  const band = 8 + lanes * 19, top = band + 34, bottom = top + 190, height = bottom + 26, count = plan.layers.length;
  const x = linearScale(0, count, left, right), y = linearScale(0, Math.max(...plan.layers.map((layer) => layer.us)) * 1.05 || 1, bottom, top), svg = sv("svg");
  const unit = unitFor(Math.max(...plan.layers.map((layer) => layer.us)) || 1);
  for (const value of y.ticks(4)) {
    const at = Math.round(y(value)) + 0.5;
    svg.append(sv("line", { class: "rule", x1: left, x2: right, y1: at, y2: at }), sv("text", { x: left - 7, y: at + 4, "text-anchor": "end" }, value ? digits(value / unit.size, 2) : `0 ${unit.name}`));
  }
  for (let from = 0; from < count;) {
    let to = from;
    while (to < count && plan.layers[to].device === plan.layers[from].device) to++;
    const device = plan.layers[from].device, room = x(to) - x(from);
    svg.append(sv("rect", { class: `device-wash f${deviceHue(device)}`, x: x(from), y: band + 22, width: room, height: bottom - band - 22 }), sv("rect", { class: `f${deviceHue(device)} device-band`, x: x(from), y: band, width: Math.max(1, room - 1), height: 22, rx: 4 }),
      room > device.length * 7.5 + 8 ? sv("text", { class: "device-name", x: x(from) + room / 2, y: band + 15.5, "text-anchor": "middle" }, device) : "");
    from = to;
  }
  const wide = x(1) - x(0);
  plan.layers.forEach((layer, at) => svg.append(mark(`${layer.index} ${layer.type}${layer.name ? ` · ${short(layer.name, 60)}` : ""}`, sayLayer(layer), { "data-layer": layer.index },
    sv("rect", { class: "hit", x: x(at), y: band, width: wide, height: bottom - band }), sv("rect", { class: `anchor layer-bar f${hueOf(layer.precision)}`, x: x(at) + wide * 0.07, y: Math.min(y(layer.us), bottom - 1.5), width: Math.max(0.7, wide * 0.86), height: Math.max(1.5, bottom - y(layer.us)), rx: Math.min(2.5, wide / 5) }))));
  drawCuts(svg, x, named, { lanes, band, bottom, right, left });
  for (const value of x.ticks(Math.max(3, Math.floor((right - left) / 60))).filter((one) => Number.isInteger(one) && one < count))
    svg.append(sv("text", { class: "aside", x: x(value + 0.5), y: bottom + 18, "text-anchor": "middle" }, plan.layers[value].index));
  return { svg, height };
}

// Names of cuts stand in lanes above, each in the first where it covers no other; without a lane the tooltip has it.
function drawCuts(svg, x, cuts, { lanes, band, bottom, right, left }) {
  const ends = new Array(lanes).fill(-Infinity);
  for (const cut of cuts) {
    const total = cut.tensors.reduce((sum, one) => sum + (one.link ? one.nbytes : 0), 0), words = `✂ ${bytes(total)}`, w = words.length * 6.8, at = x(cut.at);
    const start = Math.max(left - 20, Math.min(at - w / 2, right - w)), lane = ends.findIndex((end) => start > end + 6);
    const lines = cut.tensors.map((one) => `${short(one.tensor, 50)}: ${bytes(one.nbytes)} as ${one.dtype}${one.link ? ` over ${one.link}, ${time(one.us)}` : ""}`);
    if (lane >= 0) ends[lane] = start + w;
    svg.append(mark(`Cut: ${cutName(cut)}`, lines, { class: "mark cut" }, sv("line", { class: "cut-line anchor", x1: at, x2: at, y1: lane >= 0 ? 8 + (lane + 1) * 19 - 4 : band, y2: bottom }), sv("rect", { class: "hit", x: at - 5, y: 0, width: 10, height: band + 22 }),
      lane >= 0 ? sv("text", { class: "value", x: start + w / 2, y: 8 + lane * 19 + 9, "text-anchor": "middle" }, words) : null));
  }
}
