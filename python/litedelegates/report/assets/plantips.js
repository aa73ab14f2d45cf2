// Marks that tell about themselves when they are pointed at or focused; the arrow keys go from mark to mark.

const tip = document.getElementById("tip");
const hideTip = () => { tip.hidden = true; };

function mark(title, lines, attributes, ...children) {
  const node = sv("g", { class: "mark", role: "img", tabindex: -1, "aria-label": [title, ...lines].join(". "), ...attributes }, ...children);
  node.told = { title, lines };
  return node;
}

function tell(node) {
  tip.replaceChildren(el("strong", {}, node.told.title), ...node.told.lines.map((line) => el("div", {}, line)));
  tip.hidden = false;
  const anchor = (node.querySelector(".anchor") || node).getBoundingClientRect(), own = tip.getBoundingClientRect();
  const left = anchor.left + anchor.width / 2 - own.width / 2, above = anchor.top - own.height - 10;
  tip.style.left = `${Math.max(8, Math.min(left, document.documentElement.clientWidth - own.width - 8))}px`;
  tip.style.top = `${above > 8 ? above : Math.min(anchor.bottom + 10, innerHeight - own.height - 8)}px`;
}

function point(event) {
  const node = event.target.closest && event.target.closest(".mark");
  for (const other of document.querySelectorAll(".mark.lit")) if (other !== node) other.classList.remove("lit");
  if (!node || !node.told) return hideTip();
  node.classList.add("lit");
  tell(node);
}

function walk(event) {
  if (event.key === "Escape") return hideTip();
  const node = event.target.closest && event.target.closest(".mark");
  if (!node) return;
  if (event.key === "Enter" && node.dataset.layer) return showLayer(node.dataset.layer);
  const all = [...node.ownerSVGElement.querySelectorAll(".mark")], at = all.indexOf(node);
  const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const next = all[Math.max(0, Math.min(all.length - 1, to))];
  all.forEach((other) => other.setAttribute("tabindex", other === next ? 0 : -1));
  next.focus();
}

function listenToTips() {
  document.addEventListener("pointerover", point);
  document.addEventListener("focusin", point);
  document.addEventListener("focusout", hideTip);
  document.addEventListener("keydown", walk);
  // What has the focus is scrolled to, and goes on telling about itself; what the pointer was over is elsewhere then.
  document.addEventListener("scroll", () => {
    const focused = document.activeElement;
    if (focused && focused.told && !tip.hidden) tell(focused);
    else hideTip();
  }, { passive: true });
  document.addEventListener("click", (event) => {
    const node = event.target.closest && event.target.closest(".mark[data-layer]");
    if (node) showLayer(node.dataset.layer);
  });
}
