// One selection and one range for all charts of a study: by pointer, wheel, touch and keyboard.

// What marks the layer that is chosen, the one pointed at, and the range that is being drawn up.
function bands(p) {
  p.svg.append(...["brush", "pointed", "chosen"].map((kind) => sv("rect", { class: kind, y: p.top, height: p.bottom - p.top, width: 0, rx: 1 })));
  return p;
}

function placeBands(view) {
  for (const canvas of view.canvases) {
    const { x } = canvas.plot, ranges = { brush: view.brush, pointed: [view.pointed, view.pointed + 1], chosen: [view.chosen, view.chosen + 1] };
    for (const [kind, range] of Object.entries(ranges)) {
      const node = canvas.querySelector(`.${kind}`), there = range && range[0] !== null && range[0] >= view.from && range[1] <= view.to;
      node.setAttribute("width", there ? Math.max(1.5, x(range[1]) - x(range[0])) : 0);
      node.setAttribute("visibility", there ? "visible" : "hidden");
      if (there) node.setAttribute("x", x(range[0]));
    }
  }
}

function zoomTo(view, from, to) {
  const count = view.data.layers.length, wide = Math.max(Math.min(4, count), Math.min(count, Math.round(to - from)));
  view.from = Math.max(0, Math.min(count - wide, Math.round(from)));
  view.to = view.from + wide;
  view.pointed = view.brush = null;
  tip.hidden = true;
  view.changed("range");
}

function zoomBy(view, factor, about = view.chosen === null ? (view.from + view.to) / 2 : view.chosen + 0.5) {
  zoomTo(view, about - (about - view.from) * factor, about + (view.to - about) * factor);
}

function choose(view, at, canvas) {
  view.chosen = at;
  if (at !== null && (at < view.from || at >= view.to)) zoomTo(view, at + 0.5 - (view.to - view.from) / 2, at + 0.5 + (view.to - view.from) / 2);
  view.changed("chosen");
  document.getElementById("live").textContent = at === null ? "" : sayLayer(view, at);
  if (at !== null && canvas) showLayerTip(view, at, canvas);
  else tip.hidden = true;
}

// The position a key leads to; undefined for keys that lead nowhere.
function stepTo(view, key) {
  const last = view.data.layers.length - 1, now = view.chosen, go = (by) => (now === null ? view.from : Math.max(0, Math.min(last, now + by)));
  return { ArrowRight: go(1), ArrowDown: go(1), ArrowLeft: go(-1), ArrowUp: go(-1), PageDown: go(10), PageUp: go(-10), Home: 0, End: last }[key];
}

function listenToTrack(view, canvas) {
  const where = (event) => {
    const { left, right } = canvas.plot, inside = (event.clientX - canvas.getBoundingClientRect().left - left) / (right - left);
    return Math.max(view.from, Math.min(view.to - 1e-6, view.from + inside * (view.to - view.from)));
  };
  let start = null, dragged = false;
  canvas.addEventListener("pointerdown", (event) => { dragged = false; if (event.button === 0) start = { at: where(event), x: event.clientX }; });
  canvas.addEventListener("pointermove", (event) => {
    const at = where(event), drawn = start && Math.abs(event.clientX - start.x) > 6;
    if (drawn && !canvas.hasPointerCapture(event.pointerId)) canvas.setPointerCapture(event.pointerId);
    view.brush = drawn || view.brush && start ? [Math.floor(Math.min(at, start.at)), Math.ceil(Math.max(at, start.at))] : null;
    const moved = view.pointed !== Math.floor(at);
    view.pointed = Math.floor(at);
    if (moved || view.brush) placeBands(view);
    if (view.brush) tip.hidden = true;
    else if (moved || tip.hidden) showLayerTip(view, view.pointed, canvas);
  });
  canvas.addEventListener("pointerup", () => {
    dragged = Boolean(start && view.brush);
    if (dragged) zoomTo(view, ...view.brush);
    start = null;
  });
  // Not when the pointer comes up: after a touch the focus, which clears the tooltip, comes later than that.
  canvas.addEventListener("click", (event) => { if (!dragged) choose(view, Math.floor(where(event)), canvas); });
  const leave = (event) => {
    start = view.brush = view.pointed = null;
    if (event.pointerType !== "touch") tip.hidden = true;  // a finger that is lifted leaves too
    placeBands(view);
  };
  canvas.addEventListener("pointercancel", leave);
  canvas.addEventListener("pointerleave", leave);
  // The wheel alone scrolls the page, as it does everywhere else.
  canvas.addEventListener("wheel", (event) => {
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (!event.ctrlKey && !event.metaKey && !sideways) return;
    event.preventDefault();
    const by = (event.deltaX / canvas.clientWidth) * (view.to - view.from);
    if (sideways) zoomTo(view, view.from + (Math.round(by) || Math.sign(by)), view.to + (Math.round(by) || Math.sign(by)));
    else zoomBy(view, event.deltaY > 0 ? 1.25 : 0.8, where(event));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const to = stepTo(view, event.key), factor = { "+": 0.5, "=": 0.5, "-": 2 }[event.key];
    if (to !== undefined) choose(view, to, canvas);
    else if (factor) zoomBy(view, factor);
    else if (event.key === "0") zoomTo(view, 0, view.data.layers.length);
    else if (event.key === "Escape") { start = view.brush = null; if (view.chosen === null) zoomTo(view, 0, view.data.layers.length); choose(view, null); } else return;
    event.preventDefault();
  });
}
