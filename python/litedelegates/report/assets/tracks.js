// Charts along the depth of the network. All share one axis of layers; a series is one path, however many layers.

const GLYPHS = [
  (r) => `m${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`, (r) => `m0,${-1.3 * r}l${1.3 * r},${1.3 * r} ${-1.3 * r},${1.3 * r} ${-1.3 * r},${-1.3 * r}z`,
  (r) => `m0,${-1.2 * r}l${1.2 * r},${2.1 * r}h${-2.4 * r}z`, (r) => `m${-r},${-r}h${2 * r}v${2 * r}h${-2 * r}z`,
  (r) => `m0,${1.2 * r}l${1.2 * r},${-2.1 * r}h${-2.4 * r}z`,
];
const glyph = (precision, r) => GLYPHS[hueOf(precision) % GLYPHS.length](r);
const px = (value) => Math.round(value * 10) / 10;
let patterns = 0;

function plot(view, width, height) {
  const left = width < 480 ? 46 : 58, right = Math.max(left + 60, width - 6), x = linearScale(view.from, view.to, left, right);
  const at = Array.from({ length: view.to - view.from }, (_, i) => view.from + i);
  return { view, svg: sv("svg"), x, left, right, top: 8, bottom: height - 26, height, band: x(1) - x(0), at };
}

function axes(p, y, most, text) {
  for (const value of y.ticks(most)) {
    const at = Math.round(y(value)) + 0.5;
    p.svg.append(sv("line", { class: "rule", x1: p.left, x2: p.right, y1: at, y2: at }), sv("text", { x: p.left - 7, y: at + 4, "text-anchor": "end" }, text(value)));
  }
  for (const value of p.x.ticks(Math.max(3, Math.floor((p.right - p.left) / 60))).filter((one) => Number.isInteger(one) && one < p.view.to))
    p.svg.append(sv("text", { class: "aside", x: p.x(value + 0.5), y: p.bottom + 19, "text-anchor": "middle" }, p.view.data.layers[value].index));
}

// Bars side by side where they can be told apart, steps where not; where layers are narrower than a line a
// step stands for several and `pick` says for which of them. `floor` and `values` are by position.
function steps(p, y, floor, values, k, count, pick = Math.max) {
  const apart = p.band >= 4 * count, group = Math.max(1, Math.ceil(2 / p.band)), wide = apart ? (p.band * 0.8) / count : p.band * group, shift = apart ? p.band * 0.1 + k * wide : 0;
  let area = "", outline = "", levels = "", open = false;
  for (let at = p.view.from; at < p.view.to; at += group) {
    const own = values.slice(at, Math.min(at + group, p.view.to)).filter(finite);
    if (!own.length) { open = false; continue; }
    const value = pick(...own), from = px(p.x(at) + shift), to = px(Math.min(p.right, p.x(at) + shift + wide - (apart && wide > 3 ? 0.8 : 0))), high = px(y(value)), low = px(y(finite(floor[at]) && group === 1 ? floor[at] : 0));
    area += `M${from},${low}V${high}H${to}V${low}z`;
    outline += `${open ? `V${high}` : `M${from},${high}`}H${to}`;
    levels += `M${from},${high}H${to}`;
    open = true;
  }
  return { area, outline, levels, apart, group };
}

// A share of the total that is not the layer's own work is told by hue and by texture.
function hatch(svg) {
  const id = `hatch-${patterns++}`;
  svg.append(sv("defs", {}, sv("pattern", { id, width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    sv("rect", { class: "hatch-ground", width: 5, height: 5 }), sv("line", { class: "hatch-line", x1: 1.5, x2: 1.5, y1: 0, y2: 5 }))));
  return `url(#${id})`;
}

function drawTimes(view, width) {
  const p = plot(view, width, 200), settings = settingsShown(view).filter((one) => one[view.timing] && one[view.timing].us.some(finite));
  const most = Math.max(0, ...settings.flatMap((one) => p.at.map((at) => one[view.timing].us[at]).filter(finite)));
  const y = linearScale(0, most * 1.04 || 1, p.bottom, p.top), unit = unitFor(most || 1), texture = hatch(p.svg);
  axes(p, y, 4, (value) => (value ? digits(value / unit.size, 2) : `0 ${unit.name}`));
  settings.forEach((one, k) => {
    const { us, conversion_us: converting = [] } = one[view.timing], own = us.map((value, at) => (finite(value) ? value - (converting[at] || 0) : null));
    const body = steps(p, y, [], own, k, settings.length), converts = us.map((value, at) => (finite(converting[at]) ? value : null));
    const top = steps(p, y, own, converts, k, settings.length), hue = hueOf(one.precision);
    p.svg.append(sv("path", { class: `depth-area f${hue} ${body.apart ? "" : "dense"}`, d: body.area }), top.group > 1 ? "" : sv("path", { d: top.area, fill: texture }));
    if (!body.apart) p.svg.append(sv("path", { class: `depth-line s${hue}`, d: steps(p, y, [], us, k, settings.length).levels }));
  });
  return bands(p);
}

// `hollow` ones are drawn as a ring. Returns where the series stands beside the others of the same layer.
function dots(p, precision, points, k, count) {
  const gap = Math.min((p.band * 0.8) / count, 11), r = Math.max(1.4, Math.min(3.3, p.band / (1.6 * count)));
  const x = (at) => px(p.x(at + 0.5) + (k - (count - 1) / 2) * gap), paths = { solid: "", hollow: "" };
  for (const { at, y, hollow } of points) paths[hollow ? "hollow" : "solid"] += `M${x(at)},${px(y)}${glyph(precision, r)}`;
  const hue = hueOf(precision);
  p.svg.append(sv("path", { class: `f${hue}`, d: paths.solid }), sv("path", { class: `ring s${hue}`, d: paths.hollow }));
}

function drawGains(view, width) {
  const p = plot(view, width, 180), settings = settingsShown(view).filter((one) => one[view.gain] && one[view.gain].speed_up.some(finite));
  const series = settings.map((one) => p.at.map((at) => ({ at, ...gainOf(one, view.gain, at) })).filter((gain) => gain.ratio > 0));
  const ends = series.flat().flatMap(({ ratio: value, low, high }) => [value, low, high]).filter((value) => value > 0);
  const y = logScale(...spread([1, ...ends], 0.05), p.bottom, p.top), gap = Math.min((p.band * 0.8) / (settings.length || 1), 11);
  axes(p, y, 5, (value) => `${tick(value)}×`);
  p.svg.append(sv("line", { class: "base", x1: p.left, x2: p.right, y1: Math.round(y(1)) + 0.5, y2: Math.round(y(1)) + 0.5 }));
  settings.forEach((one, k) => {
    const x = (at) => px(p.x(at + 0.5) + (k - (settings.length - 1) / 2) * gap);
    p.svg.append(sv("path", { class: `depth-whisker s${hueOf(one.precision)}`, d: series[k].filter(({ low, high }) => low > 0 && high > 0).map(({ at, low, high }) => `M${x(at)},${px(y(low))}V${px(y(high))}`).join("") }));
    dots(p, one.precision, series[k].map(({ at, ratio: value, verdict }) => ({ at, y: y(value), hollow: verdict === "no difference shown" })), k, settings.length);
  });
  return bands(p);
}
