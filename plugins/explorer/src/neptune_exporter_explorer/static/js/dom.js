// Elements from data. Text is always text: nothing here reads markup.

/** An element: `h("a", {href, class, onclick}, "text", child, …)`. Null children are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

/** Put these children in the place of those that are there. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

/** Call a function once nothing has happened for some milliseconds. */
export function later(milliseconds, action) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...given), milliseconds);
  };
}

export function notice(text, kind = "problem") {
  return h("p", { class: `notice ${kind}`, role: kind === "problem" ? "alert" : "status" }, text);
}

export function option(value, text, chosen) {
  return h("option", { value, selected: value === chosen }, text);
}
