// What is looked at is in the address, after the #: a link opens the same view.

/** `{page, at}`: the page, and its parameters as URLSearchParams. */
export function address() {
  const [page, text] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  return { page: page || "runs", at: new URLSearchParams(text ?? "") };
}

export function link(page, parameters) {
  const at = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each != null && each !== "") at.append(name, each);
    }
  }
  return `#/${page}?${at}`;
}

/** Change parameters of the address; the page is not built anew. */
export function note(changes) {
  const { page, at } = address();
  for (const [name, value] of Object.entries(changes)) {
    at.delete(name);
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each != null && each !== "" && each !== false) at.append(name, each === true ? "1" : each);
    }
  }
  history.replaceState(null, "", `#/${page}?${at}`);
}
