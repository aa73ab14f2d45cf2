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

function layerSums(view) {
  const shown = view.data.findings.sums;
  return shown.length ? el("details", { class: "alt sums", open: shown.length < 4 }, el("summary", {}, "The layers in sum against the whole model"), el("ul", {}, shown.map((text) => el("li", {}, text)))) : null;
}
