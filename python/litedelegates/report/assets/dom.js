// Elements. Text only ever becomes a text node, so that a name from a model cannot become markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const sv = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

function table(head, rows, caption) {
  return el("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": caption },
    el("table", {}, el("caption", { class: "unseen" }, caption),
      el("thead", {}, el("tr", {}, head.map((name, i) => el("th", { scope: "col", class: i === 0 ? "text" : null }, name)))),
      el("tbody", {}, rows.map((row) => el("tr", {},
        el("th", { scope: "row", class: "text" }, row[0]), row.slice(1).map((value) => el("td", {}, value)))))));
}

// What cannot be seen must be readable: every chart carries its numbers.
function alternative(head, rows, caption) {
  return el("details", { class: "alt" }, el("summary", {}, "The same as a table"), table(head, rows, caption));
}

function definitions(pairs) {
  return el("dl", {}, pairs.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}
