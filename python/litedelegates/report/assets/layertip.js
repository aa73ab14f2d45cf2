// Everything that is known about one layer: beside the pointer, and in words.

const ERROR_FIGURES = { sqnr_db: "SQNR", rmse_over_scale: "RMSE/scale", rmse: "RMSE", cosine: "cosine", max_abs: "largest", saturated: "saturated", agreement: "agreement", accuracy: "accuracy" };
const WIDE_FIGURES = new Set(["rmse", "max_abs", "saturated", "agreement", "accuracy"]);  // a phone has no room for them

function errorText(name, value) {
  if (!finite(value)) return name === "sqnr_db" ? decibels(value) : value || "–";
  return name === "sqnr_db" ? decibels(value) : name === "cosine" ? value.toFixed(5) : ["saturated", "agreement", "accuracy"].includes(name) ? percent(value) : digits(value);
}

// [precision and kind, its series] of the errors that are known at a layer, and which figures they have.
function errorsAt(view, at) {
  const known = (one, name) => one[name] && one[name][at] !== null;
  const rows = view.kinds.flatMap((kind) => errorsOf(view, kind)).filter((one) => Object.keys(ERROR_FIGURES).some((name) => known(one, name))).map((one) => [`${one.precision} ${KINDS[one.kind].toLowerCase()}`, one]);
  return { rows, names: Object.keys(ERROR_FIGURES).filter((name) => rows.some(([, one]) => known(one, name))), known };
}

function showLayerTip(view, at, canvas) {
  const layer = view.data.layers[at], { rows, names, known } = errorsAt(view, at), times = timesOf(view, at);
  const cells = (values, tag, wide = []) => el("tr", {}, values.map((value, i) => el(i ? tag : "th", { class: wide[i] ? "wide" : null }, value)));
  const wide = [false, ...names.map((name) => WIDE_FIGURES.has(name))];
  tip.classList.add("of-layer");
  tip.replaceChildren(el("strong", {}, layerName(view, at), " ", layer.shape ? el("small", {}, layer.shape.map((size) => (size < 0 ? "?" : size)).join(" × ")) : null), el("div", {}, short(layer.name, 90)),
    times.length ? el("table", {}, cells([view.host, "in place", "alone", "speed-up"], "th"), times.map(([precision, place, alone, gain]) => { const [value, interval] = gain.split(" ["); return cells([precision, place, alone, [value, interval && el("span", { class: "wide" }, ` [${interval}`)]], "td"); })) : "",
    rows.length ? el("table", {}, cells(["Error", ...names.map((name) => ERROR_FIGURES[name])], "th", wide), rows.map(([what, one]) => cells([what, ...names.map((name) => (known(one, name) ? errorText(name, one[name][at]) : "–"))], "td", wide))) : "",
    el("div", { class: "ruled" }, bytesOf(view, at).map((text) => el("div", {}, text)), remarksOf(view, at).map((text) => el("div", {}, short(text, 160)))));
  tip.hidden = false;
  const area = canvas.getBoundingClientRect(), own = tip.getBoundingClientRect(), { x, band } = canvas.plot, room = document.documentElement;
  const right = area.left + x(at) + band + 14, left = area.left + x(at) - own.width - 14;
  const beside = right + own.width < room.clientWidth - 8 ? right : left > 8 ? left : null;
  tip.style.left = `${beside === null ? Math.max(8, (room.clientWidth - own.width) / 2) : beside}px`;
  const below = area.bottom + 6 + own.height < room.clientHeight - 8 ? area.bottom + 6 : area.top - own.height - 6;
  tip.style.top = `${Math.max(8, beside === null ? below : Math.min(area.top, room.clientHeight - own.height - 8))}px`;
}

function sayLayer(view, at) {
  const times = timesOf(view, at).map(([precision, place, alone, gain]) => `${precision}: in place ${place}, alone ${alone}, speed-up ${gain}`), { rows, names, known } = errorsAt(view, at);
  const errors = rows.map(([what, one]) => `${what}: ${names.filter((name) => known(one, name)).map((name) => `${ERROR_FIGURES[name]} ${errorText(name, one[name][at])}`).join(", ")}`);
  return [`Layer ${layerName(view, at)}, ${view.data.layers[at].name}`, ...times, ...errors, ...bytesOf(view, at), ...remarksOf(view, at)].join(". ").replace(/–/g, "not known");
}
