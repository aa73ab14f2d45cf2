// The layers of each model studied: what stands out, controls, four charts and a table that share one selection.

const TRACKS = [
  { id: "times", title: "Latency", unit: "of each layer", draw: drawTimes, field: "timing", choices: () => [["in_place", "In place"], ["alone", "Alone"]], there: (view, way) => view.data.settings.some((one) => one[way] && one[way].us.some(finite)) },
  { id: "gains", title: "Speed-up", unit: "over float32 on the same delegate", draw: drawGains, field: "gain", choices: () => [["alone", "Alone, with interval"], ["in_place", "In place"]], there: (view, way) => view.data.settings.some((one) => one[way] && one[way].speed_up.some(finite)) },
  { id: "errors", title: "Error", draw: drawErrors, field: "kind", choices: (view) => view.kinds.map((kind) => [kind, KINDS[kind]]), there: (view, kind) => view.measure && view.kinds.includes(kind) },
  { id: "bytes", title: "Bytes", unit: "of the outputs, and alive across the cut after the layer", draw: drawBytes, field: "form", choices: (view) => Object.keys(view.data.bytes).map((form) => [form, form]), there: (view, form) => view.data.bytes[form].some(finite) },
];

function switches(view, field, choices, label) {
  return choices.length < 2 ? null : el("div", { class: "switch", role: "group", "aria-label": label }, choices.map(([value, text]) => el("button", {
    type: "button", class: "chip", "data-layers": `${field}:${value}`, "aria-pressed": String(view[field] === value), onclick: () => { view[field] = value; view.changed("series"); } }, text)));
}

function swatchOf(precision) {
  return sv("svg", { viewBox: "-7 -7 14 14", "aria-hidden": "true" }, sv("path", { d: `M0,0${glyph(precision, 5)}`, class: `f${hueOf(precision)}` }));
}

function layerControls(view) {
  const chip = (attributes, ...text) => el("button", { type: "button", class: "chip", ...attributes }, ...text), count = view.data.layers.length;
  const from = view.data.layers[view.from].index, to = view.data.layers[view.to - 1].index, whole = view.to - view.from === count;
  return [
    el("div", { class: "switch", role: "group", "aria-label": "Precisions" }, view.precisions.map((precision) => chip({ "data-precision": precision, "aria-pressed": String(!view.hidden.has(precision)), onclick: () => {
      if (!view.hidden.delete(precision)) view.hidden.add(precision);
      view.changed("series");
    } }, swatchOf(precision), precision))),
    view.hosts.length > 1 ? el("div", { class: "switch", role: "group", "aria-label": "Delegate and threads" }, view.hosts.map((host) => chip({ "data-host": host, "aria-pressed": String(view.host === host), onclick: () => { view.host = host; view.changed("series"); } }, host))) : null,
    el("div", { class: "switch zoomers", role: "group", "aria-label": "Range of layers" }, el("span", { class: "range" }, whole ? `all ${plural(count, "layer")}` : `layers ${from} to ${to}`),
      chip({ "data-zoom": "out", "aria-label": "Zoom out", disabled: whole, onclick: () => zoomBy(view, 2) }, "−"), chip({ "data-zoom": "in", "aria-label": "Zoom in", onclick: () => zoomBy(view, 0.5) }, "+"),
      chip({ "data-zoom": "all", disabled: whole, onclick: () => zoomTo(view, 0, count) }, "All")),
  ];
}


function layerTrack(view, track) {
  const canvas = el("div", { class: "canvas track", role: "img", tabindex: 0, "data-track": track.id, "aria-label": sayTrack(view, track) }), notes = el("div", { class: "track-notes" });
  canvas.draw = (width) => { canvas.plot = track.draw(view, width); return canvas.plot; };
  const head = el("div", { class: "track-head" });
  canvas.update = () => {
    const choices = track.choices(view).filter(([value]) => track.there(view, value)), focused = head.contains(document.activeElement) && document.activeElement.dataset.layers;
    head.replaceChildren(el("h4", {}, track.title, " ", el("small", {}, track.unit || LAYER_MEASURES[view.measure].note)), el("div", { class: "track-choices" },
      switches(view, track.field, choices, `${track.title}: which`) || "", track.id === "errors" ? switches(view, "measure", Object.entries(LAYER_MEASURES).filter(([name]) => view.data.errors.some((one) => one[name])).map(([name, { name: text }]) => [name, text]), "Measure of the error") || "" : ""));
    if (focused) head.querySelector(`[data-layers="${focused}"]`)?.focus();
    canvas.setAttribute("aria-label", sayTrack(view, track));
    notes.replaceChildren(...trackNotes(view, track.id).filter(Boolean));
  };
  listenToTrack(view, canvas);
  view.canvases.push(canvas);
  return el("div", { class: "track-frame" }, head, canvas, notes);
}

function layerStudy(data) {
  const view = layerView(data), controls = el("div", { class: "controls" }), summary = el("div"), rows = layerTable(view);
  const tracks = TRACKS.filter((track) => track.choices(view).some(([value]) => track.there(view, value)));
  const frames = tracks.map((track) => layerTrack(view, track));
  // `what`: "chosen" moves the marks only, "range" and "series" draw again.
  view.changed = (what) => {
    if (what !== "chosen") {
      const focused = controls.contains(document.activeElement) ? [...controls.querySelectorAll("button")].indexOf(document.activeElement) : -1;
      controls.replaceChildren(...layerControls(view).filter(Boolean));
      if (focused >= 0) controls.querySelectorAll("button")[focused].focus();
      if (what === "series") summary.replaceChildren(layerFindings(view), layerSums(view) || "", variantNotes(view) || "");
      view.canvases.forEach((canvas) => canvas.update());
      view.canvases.forEach((canvas) => redraw(canvas, canvas.clientWidth || 600));
    }
    placeBands(view);
    rows.update(what);
  };
  const node = el("article", { class: "layer-study", "aria-label": `Layers of ${data.name}` }, study.layers.length > 1 ? el("h3", { class: "layer-title" }, data.name) : null, summary,
    el("figure", {}, el("figcaption", {}, el("h3", {}, "Along the depth of the network"), el("p", {}, "Drag, or Ctrl and the wheel, to zoom; click or arrow keys to choose a layer.")), controls, frames), rows);
  node.start = () => {
    view.changed("series");
    view.canvases.forEach((canvas) => { canvas.after = () => placeBands(view); watcher.observe(canvas); });
  };
  return node;
}

function layerSection() {
  const there = (study.layers || []).filter((data) => data.layers.length);
  return there.length ? el("section", { id: "layers", "aria-labelledby": "layers-title" }, el("h2", { id: "layers-title" }, "Layers"),
    el("p", { class: "about" }, "What each layer takes, what a precision gains and costs there, and what a cut after it would send. Time in place is what the profiler saw in the whole model, conversions included; alone, the layer was cut out and run as a model of its own."),
    there.map(layerStudy)) : null;
}
