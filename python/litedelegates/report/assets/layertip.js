// Everything that is known about one layer: beside the pointer, and in words.

const errorText = (measure, value) => (measure === "sqnr_db" ? decibels(value) : figureText(value));

function errorsAt(view, at) {
  const names = { sqnr_db: "SQNR", rmse_over_scale: "RMSE/scale", rmse: "RMSE", cosine: "cosine", max_abs: "largest", saturated: "saturated", accuracy: "accuracy", agreement: "agreement" };
  return view.kinds.flatMap((kind) => errorsOf(view, kind)).map((one) => {
    const shown = Object.keys(names).filter((name) => one[name] && one[name][at] !== null);
    return [`${one.precision} ${KINDS[one.kind].toLowerCase()}`, shown.map((name) => `${names[name]} ${errorText(name, one[name][at])}`).join(", ")];
  }).filter(([, text]) => text);
}

function showLayerTip(view, at, canvas) {
  const layer = view.data.layers[at], head = ["", "in place", "alone", "speed-up"];
  const grid = (rows, kind) => el("table", { class: kind }, rows.map((row) => el("tr", {}, row.map((value, i) => el(i && rows[0] !== row ? "td" : "th", {}, value)))));
  const times = timesOf(view, at), errors = errorsAt(view, at);
  tip.classList.add("of-layer");
  tip.replaceChildren(el("strong", {}, layerName(view, at)), el("div", {}, short(layer.name, 90)), layer.shape ? el("div", {}, `Output ${layer.shape.map((size) => (size < 0 ? "?" : size)).join(" × ")}`) : "",
    times.length ? el("div", { class: "ruled" }, `On ${view.host}`, grid([head, ...times], "times")) : "",
    errors.length ? el("div", { class: "ruled" }, errors.map(([what, text]) => el("div", {}, el("b", {}, what), ` ${text}`))) : "",
    el("div", { class: "ruled" }, bytesOf(view, at).map((text) => el("div", {}, text))),
    ...remarksOf(view, at).map((text) => el("div", { class: "remark" }, short(text, 160))));
  tip.hidden = false;
  const area = canvas.getBoundingClientRect(), own = tip.getBoundingClientRect(), { x, band } = canvas.plot, room = document.documentElement;
  const right = area.left + x(at) + band + 14, left = area.left + x(at) - own.width - 14;
  const beside = right + own.width < room.clientWidth - 8 ? right : left > 8 ? left : null;
  tip.style.left = `${beside === null ? Math.max(8, (room.clientWidth - own.width) / 2) : beside}px`;
  const below = area.bottom + 6 + own.height < room.clientHeight - 8 ? area.bottom + 6 : area.top - own.height - 6;
  tip.style.top = `${Math.max(8, beside === null ? below : Math.min(area.top, room.clientHeight - own.height - 8))}px`;
}

function sayLayer(view, at) {
  const times = timesOf(view, at).map(([precision, place, alone, gain]) => `${precision}: in place ${place}, alone ${alone}, speed-up ${gain}`);
  return [`Layer ${layerName(view, at)}, ${view.data.layers[at].name}`, ...times, ...errorsAt(view, at).map(([what, text]) => `${what}: ${text}`), ...bytesOf(view, at), ...remarksOf(view, at)].join(". ").replace(/–/g, "not known");
}
