// What all charts share: the figure around them, drawing again when the width changes, axes, rows with a name.

const watcher = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    if (!target.isConnected) watcher.unobserve(target);  // replaced by a newer one
    else if (contentRect.width > 0 && Math.abs(contentRect.width - target.drawnAt) > 1) redraw(target, contentRect.width);
  }
});

function redraw(canvas, width) {
  canvas.drawnAt = width;
  const { svg, height } = canvas.draw(width);
  const words = canvas.about ? { role: "group", "aria-label": canvas.about } : { "aria-hidden": "true" };
  for (const [name, value] of Object.entries({ viewBox: `0 0 ${width} ${height}`, height, ...words })) svg.setAttribute(name, value);
  const first = svg.querySelector(".mark");
  if (first) first.setAttribute("tabindex", 0);
  canvas.replaceChildren(svg);
  if (canvas.after) canvas.after();
}

// `draw(width)` returns the svg and its height; `about` is what the chart says in words.
function figure(title, note, about, draw, after) {
  const canvas = el("div", { class: "canvas" });
  canvas.draw = draw;
  canvas.about = `${title}. ${about} Use the arrow keys to go through it and Enter for details; the same is in the table below.`;
  const node = el("figure", {}, el("figcaption", {}, el("h3", {}, title), note && el("p", {}, note)), canvas, after);
  node.start = () => { redraw(canvas, canvas.clientWidth || 600); watcher.observe(canvas); };
  return node;
}

function xAxis(svg, scale, { top, bottom, most, text, title, from, to }) {
  for (const value of scale.ticks(most)) {
    const x = Math.round(scale(value)) + 0.5;
    svg.append(sv("line", { class: "rule", x1: x, x2: x, y1: top, y2: bottom }),
      sv("text", { x, y: bottom + 17, "text-anchor": "middle" }, text(value)));
  }
  const fits = title && title.length * 6.2 < to - from;  // on a phone the part before the bracket has to do
  if (title) svg.append(sv("text", { class: "title", x: (from + to) / 2, y: bottom + 37, "text-anchor": "middle" }, fits ? title : title.split(" (")[0]));
}

// Names stand beside the plot where there is room, above each row on a phone.
function rowLayout(width, cells, rowHeight, valueWidth) {
  const longest = Math.max(...cells.map((cell) => cell.label.length + (warned(cell) ? 2 : 0)));
  const stacked = width < 560;
  const names = stacked ? 0 : Math.min(longest * 7.1 + 12, width * 0.36);
  const most = Math.floor((stacked ? width - valueWidth : names) / 6.9);
  return {
    stacked, left: names + (stacked ? 4 : 8), right: width - (stacked ? 6 : valueWidth), row: stacked ? rowHeight + 20 : rowHeight,
    name: (cell, y) => sv("text", { class: "name", x: stacked ? 2 : names, y: stacked ? y + 13 : y + rowHeight / 2 + 4.5, "text-anchor": stacked ? "start" : "end" },
      short(cell.label, most), warned(cell) ? sv("tspan", { class: "flag" }, " ⚠") : null),
    middle: (y) => (stacked ? y + 20 + (rowHeight - 4) / 2 : y + rowHeight / 2),
    value: (y, text, kind) => sv("text", { class: kind || "value", x: width - 2, y: stacked ? y + 13 : y + rowHeight / 2 + 4.5, "text-anchor": "end" }, text),
    hit: (y) => sv("rect", { class: "hit", x: 1, y: y + 1, width: width - 2, height: (stacked ? rowHeight + 20 : rowHeight) - 2, rx: 5 }),
  };
}

function legend(cells, withShapes) {
  const delegates = [...new Set(cells.map((cell) => cell.delegate))];
  const precisions = [...new Set(cells.map((cell) => cell.precision))];
  const swatch = (path, kind) => sv("svg", { viewBox: "-7 -7 14 14", "aria-hidden": "true" }, sv("path", { d: path, class: kind }));
  return el("ul", { class: "legend", "aria-label": "Legend" },
    delegates.map((name) => el("li", {}, swatch(SHAPES.square(5.5), `f${colour(name)}`), name)),
    withShapes && precisions.map((name) => el("li", {}, swatch(shape(name, 5), "ink"), name)));
}

// Where all of a kind fail for one reason, it is said once.
function unmeasured(cells) {
  const reasons = new Map();
  for (const cell of cells.filter((one) => !measured(one))) {
    const reason = JSON.stringify([cell.status, cell.reason]);
    reasons.set(reason, [...(reasons.get(reason) || []), cell]);
  }
  return reasons.size ? el("ul", { class: "unmeasured", "aria-label": "Not measured" }, [...reasons.values()].map((own) => el("li", {},
    own.map((cell, i) => [i ? ", " : "", el("button", { type: "button", class: "link", "data-key": cell.key, onclick: () => openDetail(cell) }, cell.label)]), " ",
    el("span", { class: `status ${["skipped", "unfinished"].includes(own[0].status) ? "skipped" : ""}` }, own[0].status), " ", own[0].reason || ""))) : null;
}
