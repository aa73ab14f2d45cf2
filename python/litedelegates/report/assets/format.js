// Numbers and names as people read them.

function digits(value, count = 3) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e7) return value.toExponential(1).replace("e-", "e−").replace("e+", "e");
  const places = Math.max(0, count - 1 - Math.floor(Math.log10(size)));
  return value.toFixed(Math.min(places, 8));
}

const UNITS = [[1e6, "s"], [1e3, "ms"], [1, "µs"], [0, "ns"]];

function unitFor(us) {
  const [size, name] = UNITS.find(([least]) => us >= least);
  return { size: size || 1e-3, name };
}

// The ends of an axis may be far apart: its unit is that of the middle.
const axisUnit = (values) => unitFor(Math.sqrt(Math.min(...values) * Math.max(...values)));
const tick = (value) => Number(value.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 });

const raised = (power) => [...String(power)].map((c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]).join("");

// For axes of errors, which run over many powers of ten.
function smallTick(value) {
  if (value === 0) return "none";
  const power = Math.floor(Math.log10(value) + 1e-9), factor = Number((value / 10 ** power).toPrecision(2));
  if (power >= -3 && power < 4) return tick(value);
  return factor === 1 ? `10${raised(power)}` : `${factor}·10${raised(power)}`;
}

function time(us) {
  if (us === null || us === undefined) return "–";
  const unit = unitFor(Math.abs(us));
  return `${digits(us / unit.size)} ${unit.name}`;
}

function timeRange(us, interval) {
  if (us === null || us === undefined) return "–";
  if (!interval) return time(us);
  const unit = unitFor(us);
  return `${digits(us / unit.size)} [${digits(interval[0] / unit.size)}, ${digits(interval[1] / unit.size)}] ${unit.name}`;
}

function ratio(speedUp) {
  if (!speedUp) return "–";
  const value = `${digits(speedUp.ratio)}×`;
  return speedUp.low === null ? value : `${value} [${digits(speedUp.low)}, ${digits(speedUp.high)}]`;
}

const percent = (share) => (share === null || share === undefined ? "–" : `${(share * 100).toFixed(1)} %`);
const megabytes = (bytes) => (bytes === null || bytes === undefined ? "–" : `${digits(bytes / 1e6)} MB`);
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const threads = (cell) => plural(cell.threads, "thread");
const short = (text, most) => (text.length > most ? `${text.slice(0, Math.max(1, most - 1))}…` : text);

function placed(cell) {
  const total = cell.placement.reduce((sum, [, count]) => sum + count, 0);
  return cell.placement.map(([name, count], i) => (i === 0 ? `${name} ${count}/${total}` : `${name} ${count}`)).join(", ") || "–";
}
