// Histograms over steps: a column of bars for each step, and the one that is chosen in full.

import { address, note } from "./address.js";
import { get } from "./api.js";
import { fill, h, notice } from "./dom.js";
import { colour, number } from "./format.js";

const WIDTH = 640;
const HEIGHT = 220;

export async function histogramsPanel(run, paths, signal) {
  return h("div", { class: "chart-grid wide" }, await Promise.all(paths.map((path) => panel(run, path, signal))));
}

async function panel(run, path, signal) {
  const figure = h("figure", { class: "chart" }, h("figcaption", {}, path));
  try {
    const { total, histograms } = await get("/api/histograms", { run, attribute: path }, signal);
    const drawable = histograms.filter((each) => each.edges?.length && each.values?.length);
    if (!drawable.length) return fill(figure, h("figcaption", {}, path), h("p", { class: "empty" }, "no histogram has bins"));
    const key = `step:${path}`;
    const over = h("canvas", { width: WIDTH, height: HEIGHT, role: "img", "aria-label": `${path} over steps` });
    const one = h("canvas", { width: WIDTH, height: HEIGHT / 2, role: "img", "aria-label": "the histogram of one step" });
    const told = h("output", { class: "chart-note" });
    const slider = h("input", { type: "range", min: 0, max: drawable.length - 1, "aria-label": `step of ${path}`, oninput: () => {
      choose(Number(slider.value));
      note({ [key]: String(drawable[slider.value].step) });
    } });
    const choose = (i) => {
      drawOver(over, drawable, i);
      drawOne(one, drawable[i]);
      const each = drawable[i];
      told.value = `step ${number(each.step)} · ${each.values.length} bins from ${number(each.edges[0])} to ${number(each.edges.at(-1))} · ${each.type ?? ""} ${number(each.values.reduce((sum, v) => sum + v, 0))}`;
    };
    const wanted = drawable.findIndex((each) => String(each.step) === address().at.get(key));
    slider.value = wanted < 0 ? drawable.length - 1 : wanted;
    choose(Number(slider.value));
    figure.append(over, slider, one, told, total > histograms.length ? h("div", { class: "chart-note" }, `${histograms.length} of ${total} steps`) : "");
  } catch (error) {
    if (error.name === "AbortError") throw error;
    figure.append(notice(error.message));
  }
  return figure;
}

function drawOver(canvas, all, chosen) {
  const ctx = canvas.getContext("2d");
  ctx.clearRect(0, 0, WIDTH, HEIGHT);
  const low = Math.min(...all.map((each) => each.edges[0]));
  const high = Math.max(...all.map((each) => each.edges.at(-1)));
  const place = (value) => HEIGHT - ((value - low) / (high - low || 1)) * HEIGHT;
  const width = WIDTH / all.length;
  all.forEach((each, i) => {
    const densities = each.values.map((value, j) => value / (each.edges[j + 1] - each.edges[j] || 1));
    const most = Math.max(...densities) || 1;
    densities.forEach((density, j) => {
      ctx.fillStyle = colour(0, (0.9 * density) / most);
      const top = place(each.edges[j + 1]);
      ctx.fillRect(i * width, top, Math.ceil(width), Math.max(1, place(each.edges[j]) - top));
    });
  });
  ctx.strokeStyle = colour(1);
  ctx.lineWidth = 2;
  ctx.strokeRect(chosen * width + 1, 1, Math.max(2, width - 2), HEIGHT - 2);
}

function drawOne(canvas, each) {
  const ctx = canvas.getContext("2d");
  const height = canvas.height;
  ctx.clearRect(0, 0, WIDTH, height);
  const low = each.edges[0];
  const span = each.edges.at(-1) - low || 1;
  const most = Math.max(...each.values) || 1;
  ctx.fillStyle = colour(0);
  each.values.forEach((value, j) => {
    const left = ((each.edges[j] - low) / span) * WIDTH;
    const right = ((each.edges[j + 1] - low) / span) * WIDTH;
    ctx.fillRect(left, height - (value / most) * height, Math.max(1, right - left - 1), (value / most) * height);
  });
}
