// Marks: what stands for one configuration in a chart. Hover and focus tell about it and light it up everywhere; the
// arrow keys go from mark to mark; Enter opens it.

const tip = document.getElementById("tip");

function mark(cell, attributes, ...children) {
  return sv("g", {
    class: "mark", "data-key": cell.key, role: "button", tabindex: -1,
    "aria-label": [`${cell.model} ${cell.label}`, ...summaryOf(cell)].join(". "), ...attributes,
  }, ...children);
}

function summaryOf(cell) {
  if (!measured(cell)) return [`${cell.status}${cell.reason ? `: ${cell.reason}` : ""}`];
  const lines = [`Median ${timeRange(cell.median_us, cell.interval_us)}`];
  if (cell.speed_up) lines.push(cell.is_base ? "The reference" : `${ratio(cell.speed_up)} the speed of the reference: ${cell.speed_up.verdict}`);
  if (cell.accuracy !== null) lines.push(`Accuracy ${percent(cell.accuracy)}`);
  else if (cell.error && cell.error.relative !== undefined) lines.push(`Relative error ${digits(cell.error.relative)}`);
  lines.push(`Ran on ${placed(cell)}`);
  lines.push(...cell.conditions.filter((condition) => condition.severity !== "note").map((condition) => `⚠ ${condition.text}`));
  return lines;
}

function showTip(node, part) {
  const cell = byKey.get(node.dataset.key);
  const lines = part && node.contains(part) ? [part.dataset.text] : summaryOf(cell);
  tip.replaceChildren(el("strong", {}, `${cell.model} · ${cell.label}`), ...lines.map((line) => el("div", {}, line)));
  tip.classList.remove("of-layer");
  tip.hidden = false;
  const anchor = (part || node.querySelector(".anchor") || node).getBoundingClientRect(), own = tip.getBoundingClientRect();
  const left = anchor.left + anchor.width / 2 - own.width / 2;
  const above = anchor.top - own.height - 10;
  tip.style.left = `${Math.max(8, Math.min(left, document.documentElement.clientWidth - own.width - 8))}px`;
  tip.style.top = `${above > 8 ? above : anchor.bottom + 10}px`;
}

function light(key) {
  for (const node of document.querySelectorAll(".lit")) node.classList.remove("lit");
  document.body.classList.toggle("linking", Boolean(key));
  if (key) for (const node of document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)) node.classList.add("lit");
}

function clear() {
  tip.hidden = true;
  light(null);
}

function point(event) {
  const node = event.target.closest && event.target.closest("[data-key]");
  if (!node) return clear();
  light(node.dataset.key);
  if (node.classList.contains("mark")) showTip(node, event.target.closest("[data-text]"));
  else tip.hidden = true;
}

function walk(event) {
  const node = event.target.closest && event.target.closest(".mark");
  if (!node) return;
  const all = [...node.ownerSVGElement.querySelectorAll(".mark")], at = all.indexOf(node);
  const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (to !== undefined) {
    event.preventDefault();
    const next = all[Math.max(0, Math.min(all.length - 1, to))];
    all.forEach((other) => other.setAttribute("tabindex", other === next ? 0 : -1));
    next.focus();
  } else if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    openDetail(byKey.get(node.dataset.key));
  }
}

function listenToMarks() {
  document.addEventListener("pointerover", point);
  document.addEventListener("focusin", point);
  document.addEventListener("focusout", clear);
  document.addEventListener("keydown", (event) => (event.key === "Escape" ? clear() : walk(event)));
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
  document.addEventListener("click", (event) => {
    const node = event.target.closest && event.target.closest(".mark");
    if (node) openDetail(byKey.get(node.dataset.key));
  });
}
