// Parameters as a tree of namespaces.

import { note } from "./address.js";
import { fill, h, later } from "./dom.js";
import { matching } from "./charts.js";
import { exact, text } from "./format.js";

export function parametersTree(run) {
  const tree = h("div", { class: "tree" });
  const search = h("input", { type: "search", placeholder: "Find parameters by name or value", "aria-label": "Find parameters", oninput: later(150, () => show()) });
  const now = new URLSearchParams(location.hash.split(/\?(.*)/s)[1] ?? "");
  search.value = now.get("parameter") ?? "";

  function show() {
    const wanted = matching(search.value);
    note({ parameter: search.value });
    const found = run.parameters.filter((each) => wanted(each.path) || wanted(text(each.value)));
    fill(tree, found.length ? branch(grown(found), search.value !== "") : h("p", { class: "empty" }, "No parameter has this name or value."));
  }
  show();
  return [h("div", { class: "bar" }, search, h("span", { class: "count" }, `${run.parameters.length} parameters`)), tree];
}

/** Names to branches (Maps) and leaves. A name can be both. */
function grown(parameters) {
  const root = new Map();
  for (const each of parameters) {
    const names = each.path.split("/");
    let here = root;
    for (const name of names.slice(0, -1)) {
      const key = `${name}/`;
      if (!here.has(key)) here.set(key, new Map());
      here = here.get(key);
    }
    here.set(names.at(-1), each);
  }
  return root;
}

function branch(nodes, open) {
  return [...nodes].map(([name, node]) => (node instanceof Map
    ? h("details", { open: open || !name.startsWith("sys/") }, h("summary", {}, name.slice(0, -1), h("small", {}, ` ${node.size}`)), branch(node, open))
    : h("div", { class: "leaf", title: node.path }, h("span", { class: "leaf-name" }, name), value(node))));
}

function value(node) {
  if (Array.isArray(node.value)) return h("span", { class: "leaf-value" }, node.value.map((each) => h("span", { class: "tag" }, each)));
  const shown = typeof node.value === "string" ? node.value : exact(node.value);
  return h(shown.includes("\n") || shown.length > 200 ? "pre" : "span", { class: `leaf-value ${node.type}` }, shown);
}
