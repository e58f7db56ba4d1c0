// One chart: a metric of one run or of many.

import uPlot from "../uplot/uPlot.esm.js";
import { getLines } from "./api.js";
import { fill, h, notice } from "./dom.js";
import { clock, colour, number, runId } from "./format.js";
import { lonely, merge, smooth } from "./merge.js";
import { hoverPlugin } from "./hover.js";
import { legend, oddPlugin } from "./odd.js";
import { inTurn } from "./turns.js";

const HEIGHT = 230;
const LARGE = 480;
const FEW = 40;
const charts = new WeakMap();

// One for all charts: it tells of them in their order, which several observers do not.
const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const chart = charts.get(target);
    chart.seen = isIntersecting;
    if (chart.seen && chart.stale) chart.load();
  }
}, { rootMargin: "200px" });

/**
 * A chart that loads when it comes into sight.
 *
 * @param attribute the path of the metric
 * @param settings a function that gives what holds for all charts of the page: runs, axis, low, high,
 *   smoothing, logX, logY, inherited, colours (of runs)
 * @param zoom called with the range that was chosen, or with nulls
 */
export class Chart {
  constructor(attribute, title, settings, zoom) {
    Object.assign(this, { attribute, settings, zoom, plot: null, lines: [], asked: null, stale: true, seen: false });
    this.note = h("div", { class: "chart-note" });
    this.body = h("div", { class: "chart-body" });
    const enlarge = h("button", { class: "enlarge", title: "larger or smaller", "aria-label": `larger or smaller: ${attribute}`, onclick: () => {
      this.element.classList.toggle("large");
      if (this.lines.length) this.refresh();
    } }, "⤢");
    this.element = h("figure", { class: "chart" }, h("figcaption", { title: attribute }, title, enlarge), this.body, this.note);
    charts.set(this.element, this);
    sight.observe(this.element);
    this.resize = new ResizeObserver(() => {
      const width = this.body.clientWidth;
      if (this.plot && width && width !== this.plot.width) this.plot.setSize({ width, height: this.height });
    });
    this.resize.observe(this.body);
  }

  get height() {
    return this.element.classList.contains("large") ? LARGE : HEIGHT;
  }

  /** The data or the range is another one. */
  refresh() {
    this.stale = true;
    if (this.seen) this.load();
  }

  async load() {
    this.stale = false;
    this.asked?.abort();
    this.asked = new AbortController();
    const now = this.settings();
    const { signal } = this.asked;
    this.body.ariaBusy = "true";
    try {
      const found = await inTurn(signal, () => getLines({
        run: now.runs,
        attribute: this.attribute,
        x: now.axis,
        low: now.low,
        high: now.high,
        buckets: Math.max(200, Math.round(this.body.clientWidth)),
        inherited: now.inherited ? 1 : null,
      }, signal));
      this.lines = found.lines;
      this.errors = found.errors;
      this.draw();
    } catch (error) {
      if (error.name !== "AbortError") fill(this.body, notice(error.message));
    } finally {
      if (!signal.aborted) this.body.ariaBusy = "false";
    }
  }

  /** Draw what was loaded, as the settings say. */
  draw() {
    const now = this.settings();
    const lines = this.lines.filter((line) => line.length || line.odd);
    const { drawn, hidden } = visible(lines, now);
    const data = merge(drawn);
    this.plot?.destroy();
    fill(this.body);
    fill(this.note, notes(lines, this.errors ?? [], hidden));
    this.element.dataset.points = String(lines.reduce((sum, line) => sum + line.points, 0));
    if (!lines.length) {
      fill(this.body, h("p", { class: "empty" }, "no points in this range"));
      this.plot = null;
      this.element.dataset.drawn = "0";
      return;
    }
    this.plot = new uPlot(this.options(drawn, data, now), data, this.body);
    this.element.dataset.drawn = String(data[0].length);
  }

  options(drawn, data, now) {
    const styles = getComputedStyle(document.documentElement);
    const ink = styles.getPropertyValue("--faint");
    const grid = { stroke: styles.getPropertyValue("--line"), width: 1 };
    const axis = { stroke: ink, grid, ticks: grid, font: "11px system-ui, sans-serif" };
    const x = data[0];
    const span = now.low != null && now.high != null ? [now.low, now.high] : [x[0], x.at(-1)];
    return {
      width: this.body.clientWidth || 400,
      height: this.height,
      ms: 1e-3,
      legend: { show: false },
      focus: { alpha: 0.35 },
      cursor: { focus: { prox: 24 }, drag: { x: true, y: false, setScale: false }, sync: { key: "charts" }, points: { size: 6 } },
      scales: {
        x: { time: now.axis === "time", distr: now.logX && now.axis !== "time" ? 3 : 1, range: () => whole(span, now) },
        y: { distr: now.logY ? 3 : 1, ...(!now.logY && { range: roomy }) },
      },
      axes: [
        { ...axis, size: 32, values: now.axis === "time" ? undefined : (u, ticks) => ticks.map((tick) => tick == null ? "" : now.axis === "relative" ? clock(tick) : number(tick)) },
        { ...axis, size: 62, values: (u, ticks) => ticks.map((tick) => (tick == null ? "" : number(tick))) },
      ],
      series: [{}, ...drawn.map((line, i) => seriesOf(line, data[i + 1], now))],
      plugins: [hoverPlugin(drawn, now), oddPlugin(drawn, now)],
      hooks: {
        setSelect: [(u) => {
          if (u.select.width < 3) return;
          this.zoom(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
          u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        }],
        ready: [(u) => u.over.addEventListener("dblclick", () => this.zoom(null, null))],
      },
    };
  }

  remove() {
    this.asked?.abort();
    sight.unobserve(this.element);
    this.resize.disconnect();
    this.plot?.destroy();
  }
}

/** The lines as they are drawn: smoothed ones before their raw ones, and only what the axes can show. */
function visible(lines, now) {
  let hidden = 0;
  const drawn = [];
  for (const line of lines) {
    const raw = now.logY || (now.logX && now.axis !== "time") ? positive(line, now) : line;
    hidden += line.length - raw.x.length + (raw.lost ?? 0);
    if (now.smoothing > 0) {
      drawn.push({ ...raw, faint: true }, { ...raw, y: smooth(raw.y, now.smoothing), raw: raw.y, smoothed: true, oddX: [], oddY: [] });
    } else drawn.push(raw);
  }
  return { drawn, hidden };
}

function positive(line, now) {
  const x = [], y = [];
  let lost = 0;
  for (let i = 0; i < line.x.length; i++) {
    if (now.logX && now.axis !== "time" && line.x[i] <= 0) continue;
    const off = now.logY && line.y[i] <= 0;
    x.push(line.x[i]);
    y.push(off ? NaN : line.y[i]);
    lost += off ? 1 : 0;
  }
  return { ...line, x, y, lost };
}

function seriesOf(line, column, now) {
  const inherited = line.origin !== line.run;
  const dots = column.length < FEW ? null : lonely(column);
  return {
    label: runId(line.run),
    stroke: colour(now.colours(line.run), line.faint ? 0.28 : inherited ? 0.75 : 1),
    width: line.faint ? 1 : 1.5,
    dash: inherited ? [5, 4] : undefined,
    spanGaps: false,
    points: { show: !line.faint, size: 4, fill: colour(now.colours(line.run)), filter: (u, i, show, gaps) => (show && dots ? dots : null) ?? undefined },
  };
}

function notes(lines, errors, hidden) {
  const inherited = lines.filter((line) => line.origin !== line.run);
  return [
    legend(lines),
    hidden > 0 && h("span", { title: "A logarithmic axis has no place for them." }, `${hidden} points ≤ 0 not shown`),
    inherited.length > 0 && h("span", {}, `dashed: logged by ${[...new Set(inherited.map((line) => runId(line.origin)))].join(", ")}`),
    errors.map((error) => h("span", { class: "bad", role: "alert" }, `${runId(error.run)}: ${error.message}`)),
  ];
}

/** The range of x, a little beyond its end: of several points at the last x uPlot would take the first only. */
function whole([low, high], now) {
  if (low !== high) return [low, high + Math.max(Math.abs(high), high - low) * 1e-12];
  return now.logX && now.axis !== "time" ? [low / 2, low * 2] : [low - 0.5, low + 0.5];
}

function roomy(u, low, high) {
  if (low == null) return [0, 1];
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  return [low - room, high + room];
}
