// Every decision with its reason.

const decisions = { text: "", device: "", chosen: null };

function decisionTable() {
  const body = el("tbody"), count = el("span", { class: "count" });
  const fits = (layer) => (!decisions.device || layer.device === decisions.device) && decisions.text.toLowerCase().split(/\s+/).every((word) => `${layer.index} ${layer.type} ${layer.name} ${layer.device} ${layer.precision} ${layer.reason}`.toLowerCase().includes(word));
  const update = () => {
    const shown = plan.layers.filter(fits);
    body.replaceChildren(...shown.map((layer) => el("tr", { "data-row": layer.index, class: String(layer.index) === decisions.chosen ? "lit" : null },
      el("th", { scope: "row", class: "text" }, `${layer.index} ${layer.type}`, el("small", {}, short(layer.name, 46))), el("td", { class: "text" }, el("span", { class: "precision" }, swatch(`f${hueOf(layer.precision)}`), layer.precision)),
      el("td", { class: "text" }, layer.device, el("small", {}, `${layer.delegate} ${layer.threads}t`)), el("td", {}, time(layer.us)), el("td", {}, layer.error > 0 ? digits(layer.error, 2) : "–"), el("td", { class: "text wrap" }, layer.reason || "–"))));
    count.textContent = `${shown.length} of ${plural(plan.layers.length, "layer")}`;
  };
  decisions.update = update;
  update();
  return section("decisions", "Decisions", "Why each layer has the choice it has, and what another would change. Choose a bar above to find its layer here.",
    el("div", { class: "table-tools" }, el("input", { type: "search", placeholder: "Search layers and reasons", "aria-label": "Search layers and reasons", oninput: (event) => { decisions.text = event.target.value; update(); } }),
      plan.devices.length > 1 ? part((again) => [pick("Device", [["", "All"], ...plan.devices.map((name) => [name, name])], decisions.device, (value) => { decisions.device = value; again(); update(); })]) : null, count),
    el("div", { class: "scroller results decisions", tabindex: 0, role: "region", "aria-label": "Decisions by layer" }, el("table", {}, el("caption", { class: "unseen" }, "Decisions by layer"),
      el("thead", {}, el("tr", {}, ["Layer", "Precision", "Device", "Predicted", "Error", "Why"].map((name, i) => el("th", { scope: "col", class: [0, 1, 2, 5].includes(i) ? "text" : null }, name)))), body)));
}

function showLayer(index) {
  decisions.chosen = index;
  decisions.update();
  const row = document.querySelector(`[data-row="${CSS.escape(index)}"]`);
  if (row) row.scrollIntoView({ block: "center" });
}
