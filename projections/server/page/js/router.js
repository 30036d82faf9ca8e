// Where the page is: `#/workflows?status=running`. The state of a view is its address, so it can be bookmarked and shared.

/** @returns {{path: string[], query: URLSearchParams}} */
export function here() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { path: path.split("/").filter(Boolean).map(decoded), query: new URLSearchParams(query) };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a view. @param {string[]} path @param {Record<string, any> | URLSearchParams} query a list has each of its values */
export function link(path, query = {}) {
  const given = [...(query instanceof URLSearchParams ? query : Object.entries(query))];
  const each = given.flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
  const cleaned = new URLSearchParams(each.filter(([, one]) => one !== null && one !== undefined && one !== ""));
  const text = cleaned.toString();
  return `#/${path.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

export const workflowLink = (id) => link(["workflows", id]);

/** Go there: a step of the browser's history that Back undoes, or instead of the latest one. */
export function go(to, { replace = false } = {}) {
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  dispatchEvent(new HashChangeEvent("hashchange"));
}
