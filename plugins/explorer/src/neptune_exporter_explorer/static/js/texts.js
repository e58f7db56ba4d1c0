// Text series and console output, with search.

import { note } from "./address.js";
import { get } from "./api.js";
import { fill, h, later, notice, option } from "./dom.js";
import { moment, number } from "./format.js";

const PAGE = 500;
const COLOURS = /\x1b\[[0-9;?]*[A-Za-z]/g; // and cursor movements, of a terminal

export async function textsPanel(run, series, at, signal) {
  const state = { attribute: at.get("text") ?? series[0].path, q: at.get("q") ?? "", offset: 0 };
  const lines = h("div", { class: "log", tabindex: 0 });
  const count = h("span", { class: "count", role: "status" });
  const more = h("button", { hidden: true, onclick: () => load(true) }, "show more");
  const search = h("input", { type: "search", placeholder: "Find lines: text or /regular expression/", value: state.q, "aria-label": "Find lines", oninput: later(200, () => {
    state.q = search.value;
    note({ q: state.q });
    load();
  }) });
  const select = h("select", { "aria-label": "text series", onchange: () => {
    state.attribute = select.value;
    note({ text: state.attribute });
    load();
  } }, series.map((each) => option(each.path, `${each.path} (${each.rows.toLocaleString("en")})`, state.attribute)));

  async function load(further = false) {
    state.offset = further ? state.offset + PAGE : 0;
    const pattern = state.q.length > 2 && state.q.startsWith("/") && state.q.endsWith("/");
    try {
      const found = await get("/api/texts", { run, attribute: state.attribute, q: pattern ? state.q.slice(1, -1) : state.q, pattern: pattern ? 1 : null, offset: state.offset, limit: PAGE }, signal);
      const shown = found.lines.map((line) => h("div", { class: "log-line" }, h("span", { class: "log-step", title: moment(line.time) }, line.step == null ? "" : number(line.step)), h("span", { class: "log-text" }, line.value.replace(COLOURS, ""))));
      if (further) lines.append(...shown);
      else fill(lines, shown);
      const total = found.total.toLocaleString("en");
      count.textContent = state.q ? `${found.matches.toLocaleString("en")} of ${total} entries` : `${total} entries`;
      more.hidden = state.offset + PAGE >= found.matches;
    } catch (error) {
      if (error.name !== "AbortError") fill(lines, notice(error.message));
    }
  }
  await load();
  return [h("div", { class: "bar" }, select, search, count), lines, more];
}
