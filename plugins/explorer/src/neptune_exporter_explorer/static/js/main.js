// The frame: which page is shown, the keys, light or dark.

import { address, link } from "./address.js";
import { get } from "./api.js";
import { fill, h, notice } from "./dom.js";
import { showCompare } from "./compare.js";
import { showRun } from "./run.js";
import { showRuns } from "./runs.js";

const pages = { runs: showRuns, compare: showCompare, run: showRun };
const keys = [
  ["/", "search in this page"],
  ["g", "go to the runs"],
  ["c", "compare the runs that are chosen"],
  ["x", "next x axis: step, relative, time"],
  ["Esc", "leave a field; show the whole range again"],
  ["← →", "move a slider by one step"],
  ["?", "show these keys"],
];
let leave = () => {};
let shown = "";

async function show() {
  const { page, at } = address();
  const place = document.getElementById("page");
  leave();
  const ended = new AbortController();
  leave = () => ended.abort();
  fill(document.getElementById("nav"), [
    h("a", { href: "#/runs", class: page === "runs" ? "here" : "" }, "Runs"),
    page === "compare" && h("a", { href: location.hash, class: "here" }, "Compare"),
    page === "run" && h("a", { href: location.hash, class: "here" }, "Run"),
  ]);
  if (page !== shown) fill(place);
  shown = page;
  try {
    await (pages[page] ?? showRuns)(place, at, ended.signal);
  } catch (error) {
    if (error.name !== "AbortError") fill(place, notice(error.message));
  }
}

function theme(change) {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  let chosen = localStorage.getItem("theme") ?? system;
  if (change) localStorage.setItem("theme", (chosen = chosen === "dark" ? "light" : "dark"));
  root.dataset.theme = chosen;
}

function showKeys() {
  const dialog = h("dialog", { onclick: () => dialog.remove() }, [
    h("h2", {}, "Keys"),
    h("table", {}, keys.map(([key, what]) => h("tr", {}, h("td", {}, h("kbd", {}, key)), h("td", {}, what)))),
    h("p", {}, "In a chart: drag to zoom in, double-click for the whole range."),
  ]);
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
}

addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.activeElement?.blur();
  const inField = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.ctrlKey || event.metaKey || event.altKey || (inField && event.key !== "Escape")) return;
  if (event.key === "/") {
    event.preventDefault();
    document.querySelector("main input[type=search]")?.focus();
  } else if (event.key === "g") location.hash = link("runs", {});
  else if (event.key === "?") showKeys();
  else document.dispatchEvent(new CustomEvent("pagekey", { detail: event.key }));
});
document.getElementById("theme").addEventListener("click", () => {
  theme(true);
  show();
});
document.getElementById("help").addEventListener("click", showKeys);
addEventListener("hashchange", show);
theme(false);
show();
get("/api/dataset").then((dataset) => {
  document.getElementById("where").textContent = dataset.data_path;
  document.title = `${dataset.data_path} · Neptune export`;
});
