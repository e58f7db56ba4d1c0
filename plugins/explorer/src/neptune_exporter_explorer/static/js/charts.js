// Many charts, by namespace, with what holds for all of them.

import { note } from "./address.js";
import { fill, h, later } from "./dom.js";
import { namespace } from "./format.js";
import { Chart } from "./chart.js";

const AXES = [["step", "step"], ["relative", "relative time"], ["time", "time"]];

/**
 * @param at the parameters of the address
 * @param runs names of runs
 * @param attributes paths of metrics
 * @param colours from the name of a run to the number of its colour
 */
export function chartsPanel(at, runs, attributes, colours, signal) {
  const state = {
    axis: at.get("x") ?? "step",
    low: at.has("low") ? Number(at.get("low")) : null,
    high: at.has("high") ? Number(at.get("high")) : null,
    smoothing: Number(at.get("smooth") ?? 0),
    logX: at.has("logx"),
    logY: at.has("logy"),
    inherited: at.get("inherited") !== "0",
    search: at.get("find") ?? "",
  };
  const settings = () => ({ ...state, runs, colours });
  let charts = [];
  const grid = h("div", { class: "chart-groups" });

  function zoom(low, high) {
    Object.assign(state, { low, high });
    note({ low, high });
    whole.hidden = low == null;
    for (const chart of charts) chart.refresh();
  }

  function redraw() {
    for (const chart of charts) if (chart.lines.length) chart.draw();
  }

  function build() {
    for (const chart of charts) chart.remove();
    charts = [];
    const groups = new Map();
    for (const path of attributes.filter(matching(state.search))) {
      const [group, name] = namespace(path);
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push([path, name]);
    }
    const shownGroups = [...groups].map(([group, members]) => {
      const inside = members.map(([path, name]) => {
        const chart = new Chart(path, name, settings, zoom);
        charts.push(chart);
        return chart.element;
      });
      return h("details", { class: "chart-group", open: true }, [
        h("summary", {}, group || "(no namespace)", h("small", {}, ` ${members.length}`)),
        h("div", { class: "chart-grid" }, inside),
      ]);
    });
    fill(grid, shownGroups.length ? shownGroups : h("p", { class: "empty" }, state.search ? "No metric has this name." : "There are no metrics."));
  }

  const search = h("input", { type: "search", placeholder: "Find metrics: text or /regular expression/", value: state.search, "aria-label": "Find metrics", oninput: later(150, () => {
    state.search = search.value;
    note({ find: state.search });
    build();
  }) });
  const axis = h("select", { "aria-label": "x axis", onchange: () => setAxis(axis.value) }, AXES.map(([value, name]) => h("option", { value, selected: value === state.axis }, name)));
  const whole = h("button", { hidden: state.low == null, onclick: () => zoom(null, null) }, "whole range");
  const amount = h("output", {}, String(state.smoothing));
  const slider = h("input", { type: "range", min: 0, max: 0.99, step: 0.01, value: state.smoothing, "aria-label": "smoothing", oninput: () => {
    state.smoothing = Number(slider.value);
    amount.value = slider.value;
    note({ smooth: state.smoothing || null });
    redraw();
  } });

  function setAxis(value) {
    axis.value = value;
    Object.assign(state, { axis: value, low: null, high: null });
    note({ x: value === "step" ? null : value, low: null, high: null });
    whole.hidden = true;
    for (const chart of charts) chart.refresh();
  }

  const toggle = (name, key, label, reload = false) => {
    const box = h("input", { type: "checkbox", checked: state[key], onchange: () => {
      state[key] = box.checked;
      note({ [name]: key === "inherited" ? (box.checked ? null : "0") : box.checked });
      if (reload) for (const chart of charts) chart.refresh();
      else redraw();
    } });
    return h("label", {}, box, label);
  };

  document.addEventListener("pagekey", ({ detail }) => {
    if (detail === "x") setAxis(AXES[(AXES.findIndex(([value]) => value === state.axis) + 1) % 3][0]);
    if (detail === "Escape" && state.low != null) zoom(null, null);
  }, { signal });
  signal.addEventListener("abort", () => charts.forEach((chart) => chart.remove()));
  build();
  return h("section", { class: "charts" }, [
    h("div", { class: "bar" }, search, h("label", {}, "x ", axis), h("label", {}, "smoothing ", slider, amount), toggle("logx", "logX", "log x"), toggle("logy", "logY", "log y"), toggle("inherited", "inherited", "with parents", true), whole),
    grid,
  ]);
}

export function matching(text) {
  if (text.length > 2 && text.startsWith("/") && text.endsWith("/")) {
    try {
      const pattern = new RegExp(text.slice(1, -1), "i");
      return (path) => pattern.test(path);
    } catch {
      return () => false;
    }
  }
  const wanted = text.toLowerCase();
  return (path) => path.toLowerCase().includes(wanted);
}
