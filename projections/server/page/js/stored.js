// What this browser stores of a page. It may store nothing, or have something that another program stored.

/** The list that is stored under a key; an empty one where there is none. @returns {any[]} */
export function stored(key) {
  try {
    const found = JSON.parse(localStorage.getItem(key) ?? "[]");
    return Array.isArray(found) ? found.filter(Array.isArray) : [];
  } catch {
    return [];
  }
}

/** Store a list of pairs under a key, where the browser allows it. @param {any[][]} pairs */
export function store(key, pairs) {
  try {
    localStorage.setItem(key, JSON.stringify(pairs));
  } catch {
    // this browser stores nothing
  }
}
