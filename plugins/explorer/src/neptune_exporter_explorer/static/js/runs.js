// The table of all runs.

import { link, note } from "./address.js";
import { get } from "./api.js";
import { fill, h, later, notice, option } from "./dom.js";
import { duration, exact, moment, text } from "./format.js";
import { chooseColumns } from "./columns.js";

const PAGE = 100;
const FACTS = [[":begin", "began"], [":duration", "duration"]];

export async function showRuns(place, at, signal) {
  const state = {
    q: at.get("q") ?? "",
    project: at.get("project") ?? "",
    sort: at.get("sort") ?? "-:begin",
    group: at.get("group") ?? "",
    columns: at.getAll("column"),
    offset: Number(at.get("offset") ?? 0),
    chosen: new Set(at.getAll("chosen")),
  };
  const usual = at.has("column") || at.has("plain") ? state.columns : usualColumns(signal);
  const dataset = await get("/api/dataset", {}, signal);
  state.columns = await usual;
  let asked = null;
  let shown = "";

  const search = h("input", { type: "search", class: "wide", value: state.q, "aria-label": "Filter runs",
    placeholder: "Filter: text, /regular expression/, lr > 0.01 and loss@last < 0.5",
    oninput: later(200, () => change({ q: search.value, offset: 0 })) });
  const project = h("select", { "aria-label": "project", onchange: () => change({ project: project.value, offset: 0 }) },
    option("", "all projects", state.project), dataset.projects.map((name) => option(name, name, state.project)));
  const group = h("select", { "aria-label": "group by", onchange: () => change({ group: group.value, offset: 0 }) });
  const compare = h("a", { class: "button main" }, "");
  const none = h("button", { onclick: () => choose([...state.chosen], false) }, "none");
  const count = h("span", { class: "count", role: "status" });
  const table = h("table", { class: "runs" });
  const pager = h("div", { class: "pager" });
  fill(place, [
    h("div", { class: "bar" }, search, project, group,
      h("button", { onclick: () => chooseColumns(state.columns, (columns) => change({ columns })) }, "columns…"),
      compare, none, count),
    h("div", { class: "scroll" }, table),
    pager,
  ]);

  function remember() {
    note({ q: state.q, project: state.project, sort: state.sort, group: state.group, column: state.columns, plain: !state.columns.length,
      offset: state.offset || null, chosen: [...state.chosen] });
  }

  function change(changes) {
    Object.assign(state, changes);
    remember();
    load();
  }

  function choose(names, on) {
    for (const name of names) on ? state.chosen.add(name) : state.chosen.delete(name);
    for (const box of table.querySelectorAll("tbody input")) box.checked = state.chosen.has(box.value);
    remember();
    showChosen();
  }

  function showChosen() {
    compare.hidden = none.hidden = !state.chosen.size;
    compare.textContent = `compare ${state.chosen.size}`;
    compare.href = link("compare", { run: [...state.chosen] });
  }

  async function load() {
    asked?.abort();
    asked = new AbortController();
    const here = asked.signal;
    try {
      const found = await get("/api/runs", { q: state.q, project: state.project, sort: state.sort, group: state.group, column: state.columns, offset: state.offset, limit: PAGE }, here);
      if (signal.aborted) return;
      show(found);
      if (found.pending || !found.complete) setTimeout(() => here.aborted || signal.aborted || load(), 1000);
      else setTimeout(() => here.aborted || signal.aborted || watch(found.version), 5000);
    } catch (error) {
      if (error.name !== "AbortError") fill(table, h("caption", {}, notice(error.message)));
      shown = "";
    }
  }

  /** An export may be writing the dataset: show what comes. */
  async function watch(version) {
    const now = await get("/api/dataset", {}, signal).catch(() => null);
    if (signal.aborted || now === null) return;
    if (now.version !== version) load();
    else setTimeout(() => signal.aborted || watch(version), 5000);
  }

  function show(found) {
    const progress = !found.listed && !found.complete ? " (looking for more…)" : found.unread ? ` (parameters of ${found.unread.toLocaleString("en")} still to be read…)` : found.pending ? ` (${found.pending.toLocaleString("en")} values of metrics still to be read…)` : "";
    count.textContent = `${found.total.toLocaleString("en")} run${found.total === 1 ? "" : "s"}${progress}`;
    const now = JSON.stringify([state, found.rows, found.groups, found.total, found.complete], (key, value) => (typeof value === "bigint" ? String(value) : value));
    if (now === shown) return;
    shown = now;
    fill(table, head(state, change), body(found, state, choose));
    table.querySelectorAll(".all").forEach((box) => box.addEventListener("change", () => choose(found.rows.map((row) => row.name), box.checked)));
    if (!found.total) fill(table, h("caption", { class: "empty" }, state.q || state.project ? "No run matches." : found.complete ? "The dataset holds no run yet." : "Reading the runs…"));
    const last = Math.min(state.offset + PAGE, found.total);
    fill(pager, found.total > PAGE && [
      h("button", { disabled: state.offset === 0, onclick: () => change({ offset: Math.max(0, state.offset - PAGE) }) }, "← before"),
      ` ${state.offset + 1}–${last} of ${found.total.toLocaleString("en")} `,
      h("button", { disabled: last >= found.total, onclick: () => change({ offset: state.offset + PAGE }) }, "after →"),
    ]);
  }

  document.addEventListener("pagekey", ({ detail }) => {
    if (detail === "c" && state.chosen.size) location.hash = compare.hash;
  }, { signal });
  fillGroups(group, state, signal);
  showChosen();
  await load();
}

async function fillGroups(group, state, signal) {
  const { columns } = await get("/api/columns", {}, signal);
  const names = columns.filter((column) => column.type !== "metric").map((column) => column.name);
  fill(group, option("", "no groups", state.group), [...new Set([state.group, ...names])].filter(Boolean).map((name) => option(name, `by ${label(name)}`, state.group)));
}

async function usualColumns(signal) {
  const { columns } = await get("/api/columns", {}, signal);
  const usual = columns.filter((c) => !/^(:|sys\/|source_code\/|monitoring\/)/.test(c.name));
  const parameters = usual.filter((c) => c.type !== "metric").sort((a, b) => b.differs - a.differs).slice(0, 4);
  const metrics = usual.filter((c) => c.name.endsWith("@last")).sort((a, b) => b.runs - a.runs).slice(0, 2);
  return [...metrics, ...parameters].map((column) => column.name);
}

function label(column) {
  return column.startsWith(":") ? column.slice(1) : column;
}

function head(state, change) {
  const sortable = (column, name) => {
    const up = state.sort === column;
    const down = state.sort === `-${column}`;
    return h("th", { "aria-sort": up ? "ascending" : down ? "descending" : null, title: column },
      h("button", { onclick: () => change({ sort: up ? `-${column}` : column, offset: 0 }) }, name, up ? " ↑" : down ? " ↓" : ""));
  };
  return h("thead", {}, h("tr", {}, [
    h("th", {}, h("input", { type: "checkbox", class: "all", "aria-label": "choose all of this page" })),
    sortable(":run", "run"), sortable(":state", "state"), FACTS.map(([column, name]) => sortable(column, name)),
    state.columns.map((column) => sortable(column, column)),
  ]));
}

function body(found, state, choose) {
  const rows = [];
  let before;
  found.rows.forEach((row, i) => {
    const value = text(row.group);
    if (state.group && (i === 0 || value !== before)) {
      const [, size] = found.groups.find(([name]) => text(name) === value) ?? [null, ""];
      rows.push(h("tr", { class: "group" }, h("th", { colspan: 5 + state.columns.length }, `${label(state.group)}: ${value || "(none)"}`, h("small", {}, ` ${size}`))));
    }
    before = value;
    rows.push(runRow(row, state, choose));
  });
  return h("tbody", {}, rows);
}

function runRow(row, state, choose) {
  const { facts } = row;
  const box = h("input", { type: "checkbox", value: row.name, checked: state.chosen.has(row.name), "aria-label": `choose ${facts.run}`, onchange: () => choose([row.name], box.checked) });
  return h("tr", {}, [
    h("td", {}, box),
    h("td", { class: "name" }, h("a", { href: link("run", { run: row.name }) }, facts.run),
      facts.kind !== "run" && h("span", { class: "tag" }, facts.kind.replace("_", " ")),
      row.title && row.title !== facts.run && h("span", { class: "title" }, row.title), row.tags.map((tag) => h("span", { class: "tag" }, tag))),
    h("td", {}, h("span", { class: `state ${facts.state}`, title: row.problem ?? (facts.failures ? `${facts.failures} attributes could not be exported` : "exported whole") }, facts.state),
      facts.failed && h("span", { class: "state failed", title: "sys/failed is true" }, "failed")),
    h("td", {}, moment(facts.begin)), h("td", { class: "number" }, duration(facts.duration)),
    row.cells.map((value) => h("td", { class: typeof value === "number" ? "number" : "", title: value == null ? null : typeof value === "number" ? exact(value) : text(value) }, text(value))),
  ]);
}
