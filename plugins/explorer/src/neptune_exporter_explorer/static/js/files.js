// Files of a run: pictures, sound and film with a step slider; the rest to download; source code to read.

import { note } from "./address.js";
import { fileAddress, get, getText } from "./api.js";
import { matching } from "./charts.js";
import { fill, h, later, notice } from "./dom.js";
import { bytes, number } from "./format.js";

const READABLE = /\.(txt|log|md|csv|tsv|json|ya?ml|toml|ini|cfg|py|ipynb|sh|js|ts|css|html?|xml|svg|c|cc|cpp|h|hpp|rs|go|java|r|jl|diff|patch|lock|in)$/i;
const LONGEST = 2_000_000;

export async function mediaPanel(run, at, signal) {
  const { files } = await get("/api/files", { run }, signal);
  const shown = files.filter((file) => file.shown);
  if (!shown.length) return h("p", { class: "empty" }, "No file of this run is a picture, a sound or a film: see Files.");
  const groups = Map.groupBy ? Map.groupBy(shown, (file) => file.attribute) : grouped(shown);
  return h("div", { class: "chart-grid" }, [...groups].map(([attribute, members]) => player(run, attribute, members, at)));
}

function grouped(files) {
  const groups = new Map();
  for (const file of files) groups.set(file.attribute, [...(groups.get(file.attribute) ?? []), file]);
  return groups;
}

function player(run, attribute, members, at) {
  const area = h("div", { class: "media" });
  const told = h("output", { class: "chart-note" });
  const key = `step:${attribute}`;
  const wanted = members.findIndex((file) => String(file.step) === at.get(key));
  const slider = h("input", { type: "range", min: 0, max: members.length - 1, value: wanted < 0 ? members.length - 1 : wanted, hidden: members.length < 2, "aria-label": `step of ${attribute}`, oninput: () => choose(Number(slider.value), true) });
  function choose(i, remember) {
    const file = members[i];
    const source = fileAddress(run, file.path);
    const missing = () => fill(area, notice(`${file.name} cannot be shown: it is missing, damaged or of another kind`));
    const element = file.shown === "image" ? h("img", { src: source, alt: `${attribute} at step ${file.step ?? ""}`, loading: "lazy", onerror: missing })
      : h(file.shown, { src: source, controls: true, preload: "metadata", onerror: missing });
    fill(area, element);
    told.value = [file.step == null ? null : `step ${number(file.step)}`, members.length > 1 ? `${i + 1} of ${members.length}` : null, bytes(file.size)].filter(Boolean).join(" · ");
    if (remember) note({ [key]: String(file.step) });
  }
  choose(Number(slider.value), false);
  return h("figure", { class: "chart" }, h("figcaption", { title: attribute }, attribute), area, slider, told);
}

export async function filesPanel(run, signal) {
  const { files } = await get("/api/files", { run }, signal);
  const rows = h("tbody");
  const text = h("div");
  const search = h("input", { type: "search", placeholder: "Find files", "aria-label": "Find files", oninput: later(150, () => show()) });
  function show() {
    const wanted = matching(search.value);
    const found = files.filter((file) => wanted(file.attribute) || wanted(file.path));
    fill(rows, found.slice(0, 2000).map((file) => h("tr", {}, [
      h("td", {}, file.attribute), h("td", { class: "number" }, file.step == null ? "" : number(file.step)),
      h("td", {}, h("a", { href: fileAddress(run, file.path), download: file.name }, file.name)), h("td", { class: "number" }, bytes(file.size), file.missing && h("span", { class: "state damaged", title: "the folder of files does not have it" }, "missing")),
      h("td", {}, READABLE.test(file.name) && !file.missing && h("button", { onclick: () => read(run, file, text) }, "read")),
    ])));
    if (found.length > 2000) rows.append(h("tr", {}, h("td", { colspan: 5 }, `${found.length - 2000} more: type a part of the name`)));
  }
  show();
  const missing = files.filter((file) => file.missing).length;
  return [h("div", { class: "bar" }, search, h("span", { class: "count" }, `${files.length} files${missing ? `, ${missing} missing` : ""}`)), text,
    h("div", { class: "scroll" }, h("table", { class: "files" }, h("thead", {}, h("tr", {}, ["attribute", "step", "file", "size", ""].map((name) => h("th", {}, name)))), rows))];
}

export async function sourcePanel(run, signal) {
  const { files } = await get("/api/files", { run }, signal);
  const sources = files.filter((file) => file.attribute.startsWith("source_code/"));
  const text = h("div", { class: "source-text" });
  const readable = sources.find((file) => READABLE.test(file.name));
  if (readable) read(run, readable, text);
  return h("div", { class: "source" }, h("ul", {}, sources.map((file) => h("li", {}, READABLE.test(file.name)
    ? h("button", { title: file.path, onclick: () => read(run, file, text) }, sourceName(file))
    : h("a", { href: fileAddress(run, file.path), download: sourceName(file) }, `${sourceName(file)} ↓`), h("small", {}, ` ${bytes(file.size)}`)))), text);
}

/** What it was called where it was logged, as far as that is known. */
function sourceName(file) {
  return file.type === "file" ? file.attribute.slice("source_code/".length) : file.name;
}

async function read(run, file, place) {
  if (file.size > LONGEST) {
    fill(place, notice(`${file.name} has ${bytes(file.size)}: download it`, "hint"));
    return;
  }
  try {
    fill(place, h("figure", { class: "chart" }, h("figcaption", {}, file.path), h("pre", {}, await getText({ run, path: file.path }))));
  } catch (error) {
    fill(place, notice(error.message));
  }
}
