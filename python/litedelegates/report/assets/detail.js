// All that is known of one configuration.

const dialog = document.getElementById("detail");

function plain(value) {
  return Object.entries(value || {}).map(([name, inner]) => [name, inner !== null && typeof inner === "object" ? JSON.stringify(inner) : String(inner)]);
}

const QUALITY = { max_abs: "Largest error", rmse: "RMS error", relative: "Relative error", reference: "Compared with", inputs: "Inputs" };
const quality = (error) => Object.entries(error || {}).map(([name, value]) => [QUALITY[name] || name, typeof value === "number" ? digits(value) : String(value)]);

function part(title, ...content) {
  return content.flat().some(Boolean) ? [el("h3", {}, title), ...content] : null;
}

function openDetail(cell) {
  clear();
  const s = cell.stats, split = cell.split_us;
  const rounds = measured(cell) && cell.rounds.length > 1 ? el("div", { class: "canvas" }) : null;
  const energy = cell.energy ? plain(cell.energy).map(([name, value]) => [name.replace(/_/g, " "), value]) : [];
  dialog.replaceChildren(...[
    el("header", {}, el("div", {}, el("p", { class: "eyebrow" }, cell.model), el("h2", { id: "detail-title" }, cell.label)),
      el("form", { method: "dialog" }, el("button", { class: "quiet", "aria-label": "Close" }, "Close"))),
    cell.status === "ok" ? null : el("p", { class: "reason" }, el("strong", {}, cell.status), cell.reason ? `: ${cell.reason}` : ""),
    cell.conditions.length ? el("div", { class: "notes" }, el("ul", {}, cell.conditions.map((condition) => el("li", {}, condition.text)))) : null,
    s && part("Latency", definitions([
      ["Median", timeRange(cell.median_us, cell.interval_us)],
      ["Speed-up", cell.is_base ? "it is the reference" : cell.speed_up ? `${ratio(cell.speed_up)}, ${cell.speed_up.verdict} (${plural(cell.speed_up.rounds, "round")}, against ${cell.base_label})` : "not compared"],
      ["Upload, run, read-back", split.map(time).join(" + ")],
      ["Mean ± deviation", `${time(s.mean_us)} ± ${time(s.std_us)}`],
      ["Least to most", `${time(s.min_us)} to ${time(s.max_us)}`],
      ["p90, p95, p99", [s.p90_us, s.p95_us, s.p99_us].map((value) => (value === null ? "n too small" : time(value))).join(", ")],
      ["Runs, outliers", `${s.count}, ${s.outliers} beyond 14.826 MAD`],
      ["Throughput", `${digits(1e6 / cell.median_us)} runs a second, one at a time`],
    ])),
    rounds && part("Median of each round", rounds),
    part("Before the first result", cell.load_us === null ? null : definitions([["Load", time(cell.load_us)], ["First run", time(cell.first_run_us)], ["Model file", cell.run_bytes ? `${digits(cell.run_bytes / 1e3)} kB` : "–"]])),
    part("Quality", cell.error || cell.accuracy !== null ? definitions([["Accuracy", percent(cell.accuracy)], ...quality(cell.error)]) : null),
    part("Memory", cell.memory ? definitions(Object.entries(cell.memory).map(([name, bytes]) => [name.replace(/_/g, " "), megabytes(bytes)])) : null),
    part("Energy", energy.length ? definitions(energy) : null),
    part("Where it ran", cell.ops.length ? definitions([["Ops", placed(cell)], ["Route", cell.route || "–"], ["Device", cell.device || "–"]]) : null),
    part("Options asked", Object.keys(cell.options).length ? definitions(plain(cell.options)) : null),
    part("Options in effect", cell.options_in_effect ? definitions(plain(cell.options_in_effect)) : null),
    part("Files", definitions([["Model", el("span", { class: "mono" }, cell.path)], ["SHA-256", el("span", { class: "mono" }, cell.model_key)], cell.run_sha256 && ["File run", el("span", { class: "mono" }, cell.run_sha256)], cell.note && ["Note", cell.note]].filter(Boolean))),
  ].flat(Infinity).filter(Boolean));
  dialog.showModal();
  if (rounds) {
    rounds.about = `Median of each round, from ${time(Math.min(...cell.rounds.map(([, us]) => us)))} to ${time(Math.max(...cell.rounds.map(([, us]) => us)))}`;
    rounds.draw = (width) => drawRounds(width, cell);
    redraw(rounds, rounds.clientWidth);
  }
}

function listenToDialog() {
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}
