// Many runs: curves over each other, parameters side by side.

import { link, note } from "./address.js";
import { get } from "./api.js";
import { chartsPanel, matching } from "./charts.js";
import { fill, h, later, notice } from "./dom.js";
import { colour, exact, runId, text } from "./format.js";

export async function showCompare(place, at, signal) {
  const runs = at.getAll("run");
  if (!runs.length) {
    fill(place, notice("Choose runs to compare on the page of runs.", "hint"), h("a", { href: "#/runs" }, "to the runs"));
    return;
  }
  const hidden = new Set(at.getAll("hide"));
  const colours = (name) => Math.max(0, runs.indexOf(name));
  const panel = h("div");
  const chips = h("div", { class: "chips" }, runs.map((name) => chip(name)));
  let build = new AbortController();
  signal.addEventListener("abort", () => build.abort());

  function chip(name) {
    const dot = h("i", { class: "dot" });
    dot.style.background = colour(colours(name));
    const toggle = h("button", { class: "chip", "aria-pressed": String(!hidden.has(name)), title: "show or hide", onclick: () => {
      hidden.has(name) ? hidden.delete(name) : hidden.add(name);
      toggle.setAttribute("aria-pressed", String(!hidden.has(name)));
      note({ hide: [...hidden] });
      showPanel();
    } }, dot, runId(name));
    return h("span", {}, toggle, h("a", { href: link("run", { run: name }), title: "open this run" }, "↗"));
  }

  const { attributes, errors } = await get("/api/attributes", { run: runs }, signal);
  const metrics = attributes.filter((each) => each.type === "float_series").map((each) => each.path);

  function showPanel() {
    build.abort();
    build = new AbortController();
    const now = new URLSearchParams(location.hash.split(/\?(.*)/s)[1] ?? "");
    fill(panel, chartsPanel(now, runs.filter((name) => !hidden.has(name)), metrics, colours, build.signal));
  }

  const parameters = h("details", { class: "side-by-side", open: at.has("parameters") }, h("summary", {}, "Parameters side by side"));
  const area = h("div");
  parameters.append(area);
  let loaded = false;
  const loadParameters = async () => {
    note({ parameters: parameters.open });
    if (!parameters.open || loaded) return;
    loaded = true;
    fill(area, await parametersTable(runs, at, signal));
  };
  parameters.addEventListener("toggle", loadParameters);
  fill(place, chips, errors.map((error) => notice(`${runId(error.run)}: ${error.message}`)), parameters, panel);
  if (parameters.open) await loadParameters();
  showPanel();
}

async function parametersTable(runs, at, signal) {
  const found = await get("/api/parameters", { run: runs }, signal);
  const names = [...new Set(Object.values(found.runs).flatMap((values) => Object.keys(values)))].sort();
  const cell = (run, name) => (found.runs[run] && Object.hasOwn(found.runs[run], name) ? found.runs[run][name] : undefined);
  const differs = (name) => new Set(runs.map((run) => JSON.stringify(cell(run, name), (k, v) => (typeof v === "bigint" || typeof v === "number" ? exact(v) : v)))).size > 1;
  const rows = [...names.filter(differs).map((name) => [name, true]), ...names.filter((name) => !differs(name)).map((name) => [name, false])];
  const table = h("table", { class: "parameters" });
  const search = h("input", { type: "search", placeholder: "Find parameters", oninput: later(150, () => show()) });
  const only = h("input", { type: "checkbox", checked: at.has("differences"), onchange: () => { note({ differences: only.checked }); show(); } });

  function show() {
    const wanted = matching(search.value);
    fill(table,
      h("thead", {}, h("tr", {}, h("th", {}, ""), runs.map((run) => h("th", {}, runId(run))))),
      h("tbody", {}, rows.filter(([name, differ]) => wanted(name) && (differ || !only.checked)).map(([name, differ]) => h("tr", { class: differ ? "differs" : "" },
        h("th", {}, name), runs.map((run) => h("td", { title: text(cell(run, name)) }, text(cell(run, name))))))));
  }
  show();
  return [h("div", { class: "bar" }, search, h("label", {}, only, "only differences")), h("div", { class: "scroll" }, table),
    found.errors.map((error) => notice(`${runId(error.run)}: ${error.message}`))];
}
