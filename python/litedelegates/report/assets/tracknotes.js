// What is said around a chart of layers: its legend, what it cannot draw, and the whole of it in a sentence.

const refusedIn = (view) => settingsShown(view).filter((one) => one.in_place && one.in_place.refusal).map((one) => el("p", {}, `${one.precision}: ${one.in_place.refusal}`));

// What stands below a chart: its legend and what it cannot draw.
function trackNotes(view, id) {
  const key = (kind, text) => el("li", {}, sv("svg", { viewBox: "-7 -7 14 14", "aria-hidden": "true" }, kind), text);
  const column = { times: [view.timing, "us"], gains: [view.gain, "speed_up"] }[id];
  if (column && !settingsShown(view).some((one) => one[column[0]] && one[column[0]][column[1]].some(finite)))
    return [el("p", {}, `Nothing measured ${column[0] === "alone" ? "alone" : "in place"} on ${view.host} in the precisions shown.`), ...refusedIn(view)];
  if (id === "times") {
    const pattern = sv("g"), fillWith = hatch(pattern), converting = view.timing === "in_place" && settingsShown(view).some((one) => one.in_place && one.in_place.conversion_us.some(finite));
    const said = view.timing === "in_place" ? settingsShown(view).filter((one) => one.in_place).flatMap(({ precision, in_place: own }) => [own.refusal && `${precision}: ${own.refusal}`, own.is_estimate && !own.refusal && `${precision}: an estimate, ${own.note}`, ...own.warnings.map((text) => `${precision}: ⚠ ${text}`)]).filter(Boolean) : [];
    const group = Math.ceil((2 * (view.to - view.from)) / Math.max(200, (view.canvases[0].clientWidth || 600) - 64));
    const joined = new Set(settingsShown(view).filter((one) => one[view.timing]).flatMap((one) => Object.keys(one[view.timing].fused))).size;
    return [group > 1 ? el("p", {}, `A step is the largest of ${group} layers; zoom in for each.`) : null, converting && group === 1 ? el("ul", { class: "legend" }, key([pattern, sv("rect", { x: -6, y: -6, width: 12, height: 12, fill: fillWith })], "conversions that the layer caused, part of its time")) : null, joined ? el("p", {}, `${plural(joined, "layer")} ran as one with an earlier layer, which has the time of both.`) : null, ...said.map((text) => el("p", {}, text))];
  }
  if (id === "gains") return [view.gain === "in_place" ? el("p", {}, "From the times in place: without an interval, and only where the same layers ran as one.") : el("p", {}, "The line is float32. Whiskers are 95 % intervals; a hollow mark shows no difference.")];
  if (id === "errors") return errorGaps(view).map((text) => el("p", {}, text));
  return [el("ul", { class: "legend" }, key(sv("rect", { class: "f7 pale", x: -6, y: -6, width: 12, height: 12 }), "output of the layer"), key(sv("path", { class: "depth-line cut", d: "M-6,0H6" }), "alive across the cut after it"),
    view.data.findings.cuts.length ? key(sv("circle", { class: "cheapest", r: 4 }), "less than every cut before") : null, view.data.layers.some((layer) => layer.refusal) ? key(sv("rect", { class: "illegal", x: -6, y: -3, width: 12, height: 5 }), "no cut is legal") : null)];
}

function sayTrack(view, { id, title }) {
  const { data } = view, many = `${plural(data.layers.length, "layer")}, ${view.host ? `${settingsShown(view).map((one) => one.precision).join(", ") || "no precision"} on ${view.host}` : "not timed"}.`;
  const slow = settingsShown(view).map((one) => data.findings.slowest[one.label] && `${one.precision} is slowest at ${layerName(view, data.findings.slowest[one.label][0][0])} with ${time(data.findings.slowest[one.label][0][1])}`).filter(Boolean);
  const worst = data.findings.worst.filter((one) => one.kind === view.kind).map((one) => `${one.precision} is worst at ${layerName(view, one.layers[0][0])} with ${decibels(one.layers[0][1])}`);
  const cuts = data.findings.cuts.slice(-1).map(([at]) => `The cheapest cut is after ${layerName(view, at)} with ${bytes(data.cuts[view.form][at])}`);
  const said = { times: slow, errors: worst, bytes: cuts }[id] || [];
  return `${title} by layer. ${many} ${said.length ? `${said.join("; ")}. ` : ""}Arrow keys go from layer to layer, plus and minus zoom, Escape resets.`;
}
