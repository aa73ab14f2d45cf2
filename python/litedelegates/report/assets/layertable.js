// The layers in the range that the charts show, as a table; a part of it at a time, since networks are deep.

const LAYER_ROWS = 50;

function layerTable(view) {
  const body = el("tbody"), headRow = el("tr"), more = el("button", { type: "button", class: "quiet" }), about = el("p", { class: "count" });
  let all = false, columns = [];
  const node = el("div", { class: "layer-table" }, el("div", { class: "scroller", role: "region", tabindex: 0, "aria-label": `Layers of ${view.data.name}` },
    el("table", { class: "results" }, el("caption", { class: "unseen" }, `Layers of ${view.data.name}`), el("thead", {}, headRow), body)), el("div", { class: "table-foot" }, about, more));
  more.addEventListener("click", () => { all = !all; node.update(); });
  body.addEventListener("click", (event) => { const row = event.target.closest("tr"); if (row && !getSelection().toString()) choose(view, Number(row.dataset.at)); });
  body.addEventListener("keydown", (event) => {
    const to = event.target.matches("button") ? stepTo(view, event.key) : undefined;
    if (to !== undefined) { event.preventDefault(); choose(view, to); body.querySelector("tr.chosen-row button").focus(); }
  });

  const row = (at) => el("tr", { "data-at": at },
    el("th", { scope: "row", class: "text" }, el("button", { type: "button", class: "link", tabindex: -1, "aria-pressed": "false" }, layerName(view, at)), " ", el("small", {}, short(view.data.layers[at].name, 60))),
    columns.map(([, value, kind]) => el("td", { class: kind ? kind(at) : null }, value(at))));
  // One row at a time is in the order of the Tab key.
  const markRow = (node, chosen, inTabs) => {
    node.classList.toggle("chosen-row", chosen);
    if (chosen) node.setAttribute("aria-current", "true");
    else node.removeAttribute("aria-current");
    fill(node.querySelector("button"), { tabindex: inTabs ? 0 : -1, "aria-pressed": String(chosen) }, []);
  };
  // Where the row is there already only its mark moves.
  node.update = (what) => {
    const shown = view.to - view.from, most = all ? shown : Math.min(shown, LAYER_ROWS);
    const there = what === "chosen" && (view.chosen === null || body.querySelector(`[data-at="${view.chosen}"]`));
    if (!there) {
      const first = view.chosen === null || all ? view.from : Math.max(view.from, Math.min(view.to - most, view.chosen - Math.floor(most / 2)));
      columns = layerColumns(view);
      headRow.replaceChildren(el("th", { scope: "col", class: "text" }, "Layer"), ...columns.map(([name]) => el("th", { scope: "col" }, name)));
      body.replaceChildren(...Array.from({ length: most }, (_, i) => row(first + i)));
      about.textContent = most === shown ? plural(shown, "layer") : `Layers ${view.data.layers[first].index} to ${view.data.layers[first + most - 1].index}; the charts show ${shown}`;
      more.textContent = all ? `Show ${LAYER_ROWS} at a time` : `Show all ${shown}`;
      more.hidden = shown <= LAYER_ROWS;
    }
    for (const old of body.querySelectorAll(".chosen-row, tr:has([tabindex='0'])")) markRow(old, false, false);
    const chosen = body.querySelector(`[data-at="${view.chosen}"]`), scroller = node.querySelector(".scroller");
    if (chosen || body.firstChild) markRow(chosen || body.firstChild, Boolean(chosen), true);
    if (chosen) scroller.scrollTop = Math.min(chosen.offsetTop - headRow.offsetHeight, Math.max(scroller.scrollTop, chosen.offsetTop + chosen.offsetHeight - scroller.clientHeight));
  };
  return node;
}

// [heading, text by position, class by position]
function layerColumns(view) {
  const settings = settingsShown(view), way = view.timing === "in_place" ? "" : " alone", measure = LAYER_MEASURES[view.measure];
  const times = settings.filter((one) => one[view.timing]).map((one) => [`Time ${one.precision}${way}${one.in_place && one.in_place.is_estimate && !way ? ", estimate" : ""}`,
    (at) => timeAt(view, one, view.timing, at), (at) => (finite(one[view.timing].us[at]) ? null : "aside")]);
  const gains = settings.filter((one) => one[view.gain] && one[view.gain].speed_up.some(finite)).map((one) => [`Speed-up ${one.precision}`, (at) => ratio(gainOf(one, view.gain, at)),
    (at) => { const gain = gainOf(one, view.gain, at); return gain && gain.verdict ? gain.verdict.split(" ")[0] : null; }]);
  const errors = measure ? errorsOf(view, view.kind).filter((one) => one[view.measure]).map((one) => [`${measure.name} ${one.precision}`, (at) => errorText(view.measure, one[view.measure][at])]) : [];
  const legal = (at) => (view.data.layers[at].refusal ? el("span", { class: "bad", title: view.data.layers[at].refusal }, "no cut") : bytes(view.data.cuts[view.form][at]));
  return [...times, ...gains, ...errors, [`Output ${view.form}`, (at) => bytes(view.data.bytes[view.form][at])], [`Cut ${view.form}`, legal]];
}
