// What stands out in a layer study. Each entry leads to its layer in the charts.

function layerFindings(view) {
  const { findings: found, cuts } = view.data, goTo = (at) => el("button", { type: "button", class: "link", onclick: () => { choose(view, at); view.canvases[0].scrollIntoView({ block: "center" }); } }, layerName(view, at));
  const list = (rows) => el("ol", { class: "ranks" }, rows.map(([at, value, note]) => el("li", {}, goTo(at), el("b", {}, value), note ? el("small", {}, note) : null)));
  const card = (title, about, rows) => rows.length ? el("article", { class: "card" }, el("h3", {}, title), el("p", { class: "about-card" }, about), list(rows)) : null;
  const leading = settingsShown(view).filter((one) => found.slowest[one.label]).sort((a, b) => (a.in_place.whole_us ?? Infinity) - (b.in_place.whole_us ?? Infinity))[0];
  const worst = found.worst.find((one) => one.kind === view.kind && leading && one.precision === leading.precision) || found.worst.filter((one) => one.kind === view.kind && !view.hidden.has(one.precision)).sort((a, b) => a.layers[0][1] - b.layers[0][1])[0];
  return el("div", { class: "cards" },
    leading ? card("Slowest layers", `${leading.label}${leading.in_place.is_estimate ? ", estimated" : ""}: share of the time in place`, found.slowest[leading.label].map(([at, us, share]) => [at, time(us), percent(share)])) : null,
    worst ? card("Largest error", `${worst.precision}, ${KINDS[worst.kind].toLowerCase()}: lowest ratio of signal to noise`, worst.layers.map(([at, value]) => [at, decibels(value)])) : null,
    card("Where to cut", `Every earlier cut sends more${found.cuts_setting ? `; time before it in ${found.cuts_setting}` : ""}`, found.cuts.map(([at, share]) => [at, bytes(cuts[view.form][at]), share === null ? null : `${percent(share)} before`])));
}

// What the layers take in sum, in place and alone, beside what the whole model takes.
function layerSums(view) {
  const shown = settingsShown(view).filter((one) => view.data.findings.sums[one.label]), all = shown.map((one) => view.data.findings.sums[one.label]);
  if (!shown.length) return null;
  const against = (us, whole) => (us !== null && whole ? [time(us), " ", el("small", {}, `${us < whole ? "−" : "+"}${percent(Math.abs(us / whole - 1))}`)] : time(us));
  const columns = [["Whole model", (sum) => time(sum.whole_us), "whole_us"], ["In place, sum", (sum) => against(sum.in_place_us, sum.whole_us), "in_place_us"], ["conversions", (sum) => (sum.conversion_us ? time(sum.conversion_us) : "–"), "conversion_us"],
    ["unmapped", (sum) => (sum.unmapped_us ? time(sum.unmapped_us) : "–"), "unmapped_us"], ["Alone, sum", (sum) => [against(sum.alone_us, sum.whole_us), sum.missing ? el("small", {}, `, ${sum.missing} missing`) : null], "alone_us"], ["The whole is", (sum) => sum.verdict || "–", "verdict"]].filter(([, , name]) => all.some((sum) => sum[name]));
  const rows = shown.map((one, i) => [[one.label, one.in_place && one.in_place.is_estimate ? el("small", {}, " estimate") : null], ...columns.map(([, text]) => text(all[i]))]);
  return el("div", { class: "sums" }, table(["Layers in sum", ...columns.map(([name]) => name)], rows, "The layers in sum against the whole model"));
}

// What has to be known about the files of the other precisions.
function variantNotes(view) {
  const said = view.data.variants.filter(({ precision }) => !view.hidden.has(precision)).map(({ precision, refusal, note }) => (refusal || note) && `${precision}: ${refusal || note}`).filter(Boolean);
  return said.length ? el("ul", { class: "unmeasured variants", "aria-label": "About the files" }, said.map((text) => el("li", {}, text))) : null;
}
