// One run.

import { link, note } from "./address.js";
import { get } from "./api.js";
import { chartsPanel } from "./charts.js";
import { fill, h, notice } from "./dom.js";
import { filesPanel, mediaPanel, sourcePanel } from "./files.js";
import { histogramsPanel } from "./histograms.js";
import { parametersTree } from "./parameters.js";
import { textsPanel } from "./texts.js";

const FILES = ["file", "file_series", "file_set", "artifact"];

export async function showRun(place, at, signal) {
  const name = at.get("run") ?? "";
  const run = await get("/api/run", { run: name }, signal);
  const paths = (...types) => run.attributes.filter((each) => types.includes(each.type)).map((each) => each.path);
  const files = paths(...FILES);
  const source = files.filter((path) => path.startsWith("source_code/"));
  const tabs = [
    ["overview", "Overview", true, () => parametersTree(run)],
    ["charts", "Charts", paths("float_series").length, (inner) => chartsPanel(now(), [name], paths("float_series"), () => 0, inner)],
    ["texts", "Texts", paths("string_series").length, (inner) => textsPanel(name, run.attributes.filter((each) => each.type === "string_series"), now(), inner)],
    ["histograms", "Histograms", paths("histogram_series").length, (inner) => histogramsPanel(name, paths("histogram_series"), inner)],
    ["media", "Media", files.length, (inner) => mediaPanel(name, now(), inner)],
    ["files", "Files", files.length, (inner) => filesPanel(name, inner)],
    ["source", "Source code", source.length, (inner) => sourcePanel(name, inner)],
  ].filter(([, , there]) => there);
  const area = h("div", { class: "tab" });
  const bar = h("div", { class: "tabs", role: "tablist" });
  let inside = new AbortController();
  signal.addEventListener("abort", () => inside.abort());

  function now() {
    return new URLSearchParams(location.hash.split(/\?(.*)/s)[1] ?? "");
  }

  async function open(id) {
    inside.abort();
    inside = new AbortController();
    const here = inside.signal;
    const [key, , , make] = tabs.find(([each]) => each === id) ?? tabs[0];
    note({ tab: key === "overview" ? null : key });
    fill(bar, tabs.map(([each, label, number]) => h("button", { role: "tab", "aria-selected": String(each === key), onclick: () => open(each) }, label, number !== true && h("small", {}, ` ${number}`))));
    try {
      const made = await make(here);
      if (!here.aborted) fill(area, made);
    } catch (error) {
      if (error.name !== "AbortError") fill(area, notice(error.message));
    }
  }

  fill(place, header(run, name), bar, area);
  await open(at.get("tab") ?? "overview");
}

function header(run, name) {
  const title = run.parameters.find((each) => each.path === "sys/name")?.value;
  const tags = run.parameters.filter((each) => ["sys/tags", "sys/group_tags"].includes(each.path)).flatMap((each) => each.value);
  const { parents, children } = run.lineage;
  return h("header", { class: "run-head" }, [
    h("h1", {}, run.run, title && title !== run.run && h("span", { class: "title" }, title), run.kind !== "run" && h("span", { class: "tag" }, run.kind.replace("_", " ")), tags.map((tag) => h("span", { class: "tag" }, tag))),
    h("p", { class: "from" }, run.project, /^https?:\/\//.test(run.url) && [" · ", h("a", { href: run.url, rel: "noreferrer noopener", target: "_blank" }, "its page in Neptune")], " · ", h("a", { href: link("compare", { run: [...parents.filter((each) => each.is_there).map((each) => each.name), name, ...children.map((each) => each.name)] }) }, parents.length || children.length ? "compare with its family" : "compare")),
    (parents.length > 0 || children.length > 0) && h("p", { class: "lineage" }, [
      parents.map((parent) => [parent.is_there ? h("a", { href: link("run", { run: parent.name }) }, parent.run) : h("span", { title: "not in this dataset" }, `${parent.run} (not here)`), h("span", {}, parent.step == null ? " → " : ` —step ${parent.step}→ `)]),
      h("b", {}, run.run),
      children.length > 0 && [" → ", children.map((child, i) => [i > 0 && ", ", h("a", { href: link("run", { run: child.name }) }, child.run)])],
    ]),
    run.errors.map((text) => notice(text)),
    run.failures.length > 0 && h("details", { class: "notice problem", open: run.failures.length < 4 }, h("summary", {}, `${run.failures.length} attribute${run.failures.length > 1 ? "s" : ""} could not be exported`),
      h("ul", {}, run.failures.map((each) => h("li", {}, h("code", {}, each.attribute || "(the run)"), ` ${each.message}`)))),
    run.notes.length > 0 && h("details", { class: "notice hint" }, h("summary", {}, `${run.notes.length} note${run.notes.length > 1 ? "s" : ""} of the export`), h("ul", {}, run.notes.map((each) => h("li", {}, each)))),
  ]);
}

