// A layer study as its charts see it: what is chosen, and the numbers of a layer.

// A precision keeps its colour and its glyph from chart to chart.
const hues = new Map([["float32", 0], ["int8", 1], ["float16", 3], ["dynamic", 4], ["int16x8", 5]]);
const SPARE_HUES = [6, 7, 5, 4];

function hueOf(precision) {
  if (!hues.has(precision)) hues.set(precision, SPARE_HUES[hues.size % SPARE_HUES.length]);
  return hues.get(precision);
}

const finite = (value) => typeof value === "number";
const KINDS = { local: "Local", propagated: "Propagated", output: "Output", delegate: "Delegate" };

// `from` and `to` are the ends of what is shown, `chosen` and `pointed` layers; all by position, not by index of the op.
function layerView(data) {
  const count = (host) => data.settings.filter((one) => one.host === host && one.in_place && !one.in_place.refusal).length;
  const hosts = [...new Set(data.settings.map((one) => one.host))];
  const precisions = [...new Set([...data.settings, ...data.errors].map((one) => one.precision))];
  const kinds = Object.keys(KINDS).filter((kind) => data.errors.some((one) => one.kind === kind));
  return {
    data, hosts, precisions, kinds, hidden: new Set(),
    host: [...hosts].sort((a, b) => count(b) - count(a) || /^none/.test(a) - /^none/.test(b))[0],
    timing: data.settings.some((one) => one.in_place && one.in_place.us.some(finite)) ? "in_place" : "alone",
    gain: data.settings.some((one) => one.alone && one.alone.speed_up.some(finite)) ? "alone" : "in_place",
    kind: kinds[0], measure: Object.keys(LAYER_MEASURES).find((name) => data.errors.some((one) => one[name])), form: "float32",
    from: 0, to: data.layers.length, chosen: null, pointed: null, canvases: [], changed: () => {},
  };
}

const settingsShown = (view) => view.data.settings.filter((one) => one.host === view.host && !view.hidden.has(one.precision));
const errorsOf = (view, kind) => view.data.errors.filter((one) => one.kind === kind && !view.hidden.has(one.precision) && (kind !== "delegate" || !view.host || view.host.startsWith(`${one.delegate} `)));
const layerName = (view, at) => `${view.data.layers[at].index} ${view.data.layers[at].type}`;

function gainOf(one, way, at) {
  const from = one[way];
  if (!from || !finite(from.speed_up[at])) return null;
  const bound = (end) => (way === "alone" && finite(from[`speed_up_${end}`][at]) ? from[`speed_up_${end}`][at] : null);
  return { ratio: from.speed_up[at], low: bound("low"), high: bound("high"), verdict: way === "alone" ? from.verdict[at] : null };
}

const bytes = (count) => (count === null || count === undefined ? "–" : count < 1000 ? `${count} B` : count < 1e6 ? `${digits(count / 1e3)} kB` : `${digits(count / 1e6)} MB`);
const decibels = (value) => (finite(value) ? `${value.toFixed(1)} dB` : value === "inf" ? "no difference" : value || "–");
const figureText = (value) => (finite(value) ? digits(value) : value || "–");

// A layer that was run as one with an earlier one has no time of its own.
function timeAt(view, one, way, at) {
  if (!one[way]) return "–";
  if (finite(one[way].us[at])) return time(one[way].us[at]);
  return one[way].fused[at] === undefined ? "–" : `in ${view.data.layers[one[way].fused[at]].index}`;
}

// What a layer costs in each setting shown: [precision, in place, alone, speed-up].
function timesOf(view, at) {
  return settingsShown(view).map((one) => {
    const gain = gainOf(one, view.gain, at);
    return [one.precision, timeAt(view, one, "in_place", at), timeAt(view, one, "alone", at), one.precision === "float32" ? "reference" : ratio(gain)];
  });
}

function bytesOf(view, at) {
  const { bytes: own, cuts, layers } = view.data, sizes = (from) => Object.keys(from).filter((form) => finite(from[form][at])).map((form) => `${bytes(from[form][at])} ${form}`).join(", ");
  const cut = sizes(cuts), refusal = layers[at].refusal;
  return [`Output ${sizes(own) || "of unknown size"}`, refusal ? `No cut after it: ${refusal}` : cut ? `Cut after it ${cut}` : at === layers.length - 1 ? "The last layer: nothing to cut after it" : "Cut of unknown size"];
}

// Everything odd about a layer, in words.
function remarksOf(view, at) {
  const settings = settingsShown(view), found = [];
  for (const one of settings) {
    if (one.in_place && finite(one.in_place.conversion_us[at])) found.push(`${one.precision}: ${time(one.in_place.conversion_us[at])} of it conversions`);
    if (one.alone && one.alone.refusals[at]) found.push(`${one.precision} alone: ${one.alone.refusals[at]}`);
  }
  for (const one of view.kinds.flatMap((kind) => errorsOf(view, kind))) {
    const what = `${one.precision}, ${KINDS[one.kind].toLowerCase()} error`;
    if (one.flags[at]) found.push(`${what}: ⚠ ${one.flags[at]}`);
    if (one.refusals[at]) found.push(`${what}: ${one.refusals[at]}`);
  }
  return found;
}
