// The page: what the plan is, then its parts.

document.getElementById("lede").textContent = plan.lede;
document.getElementById("foot").textContent = plan.foot;
fill(document.getElementById("main"), {}, [
  overview(), depth(), uniform(), timelines(), paretoFront(), whatIf(), simulation(), decisionTable(),
  section("provenance", "What it was made from", "A plan is as good as the times it was made from.", el("div", { class: "facts" }, plan.provenance.map(({ title, facts }) => el("div", {}, el("h3", {}, title), definitions(facts))))),
  section("method", "How to read it", null, el("ul", {}, plan.method.map((text) => el("li", {}, text)))),
]);
startTheme();
listenToTips();
startFigures(document);
