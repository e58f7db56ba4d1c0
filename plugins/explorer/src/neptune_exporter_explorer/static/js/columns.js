// Which columns the table of runs has: any parameter, or a statistic of any metric.

import { get } from "./api.js";
import { fill, h, later } from "./dom.js";

export function chooseColumns(columns, done) {
  const chosen = [...columns];
  const found = h("ul", { class: "choices" });
  const picked = h("ul", { class: "picked" });
  const search = h("input", { type: "search", placeholder: "Find parameters and metrics", oninput: later(150, () => load()) });
  const dialog = h("dialog", { class: "columns" }, [
    h("h2", {}, "Columns"), picked, search, found,
    h("div", { class: "bar" }, h("button", { class: "main", onclick: () => dialog.close("use") }, "show these"), h("button", { onclick: () => dialog.close("") }, "cancel")),
  ]);

  function showPicked() {
    fill(picked, chosen.map((name, i) => h("li", {}, [
      h("button", { title: "to the left", disabled: i === 0, onclick: () => { chosen.splice(i - 1, 2, name, chosen[i - 1]); showPicked(); } }, "←"),
      name,
      h("button", { title: "remove", onclick: () => { chosen.splice(i, 1); showPicked(); load(); } }, "×"),
    ])));
  }

  async function load() {
    const { columns: all, total } = await get("/api/columns", { q: search.value });
    fill(found, all.map((column) => h("li", {}, h("label", {}, [
      h("input", { type: "checkbox", checked: chosen.includes(column.name), onchange: (event) => {
        if (event.target.checked) chosen.push(column.name);
        else chosen.splice(chosen.indexOf(column.name), 1);
        showPicked();
      } }),
      column.name, h("small", {}, ` ${column.type}`),
    ]))), total > all.length && h("li", { class: "empty" }, `${total - all.length} more: type a part of the name`));
  }

  dialog.addEventListener("close", () => {
    if (dialog.returnValue === "use") done(chosen);
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
  showPicked();
  load();
}
