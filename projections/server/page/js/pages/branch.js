// A branch of a workflow's tree, by its agent, session and model: null names none, and of what is left out it has any.

export const LEVELS = ["agent", "session_id", "model"];

/** The branch that an address names; without any name the whole workflow. @param {URLSearchParams} query */
export const branchIn = (query) =>
  Object.fromEntries(LEVELS.filter((name) => query.has(name)).map((name) => [name, query.get(name) || null]));

/** Its names for the API and for an address. */
export const namesOf = (branch) => Object.fromEntries(Object.entries(branch).map(([name, value]) => [name, value ?? ""]));

export const isWhole = (branch) => !Object.keys(branch).length;

export const isSame = (one, other) => LEVELS.every((name) => one[name] === other[name]);

/** Whether a step or a reading belongs to a branch. */
export const isIn = (of, branch) => LEVELS.every((name) => branch[name] === undefined || (of[name] ?? null) === branch[name]);

export const inWords = (branch) => LEVELS.flatMap((name) => branch[name] ?? []).join(" · ") || "(unattributed)";
