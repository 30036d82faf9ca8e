// The public HTTP API, the only thing this page reads. `/openapi.json` describes every answer.

/** A request that was refused, or an answer that did not come. */
export class Refused extends Error {
  /** @param {number} status 0 when there was no answer */
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** Who listens when a token is asked for. */
let onUnauthorized = () => {};
export const whenUnauthorized = (listener) => {
  onUnauthorized = listener;
};

/**
 * @param {string} path below the page's own address, so that it also works below a prefix
 * @param {Record<string, string | number | string[] | null | undefined>} query empty values are left out
 */
export function address(path, query = {}) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value].flat())
      if (one !== null && one !== undefined && one !== "") parameters.append(name, String(one));
  }
  const text = parameters.toString();
  return text ? `${path}?${text}` : path;
}

async function ask(method, path, { query, body, signal } = {}) {
  let answer;
  try {
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    answer = await fetch(address(path, query), {
      method,
      headers,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The server does not answer. Is `costledger serve` running?");
  }
  const received = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (answer.ok) return received;
  if (answer.status === 401 && path !== "login") onUnauthorized();
  throw new Refused(answer.status, received?.detail ?? `${answer.status} ${answer.statusText}`);
}

/** Rows of one answer. */
const ROWS_MOST = 500;

const get = (path, query, signal) => ask("GET", path, { query, signal });
const one = (id) => `api/workflow-history/${encodeURIComponent(id)}`;

/** All workflows that match, page by page; each once, though they change meanwhile. */
async function allWorkflows(query, signal) {
  const rows = new Map();
  for (let offset = 0, total = 1; offset < total; offset += ROWS_MOST) {
    const page = await get("api/workflow-history", { ...query, limit: ROWS_MOST, offset }, signal);
    for (const row of page.workflows) if (!rows.has(row.adw_id)) rows.set(row.adw_id, row);
    total = page.total_count;
  }
  return [...rows.values()];
}

/** All entries, page by page, and those of an application's own table. */
async function audit(id, signal) {
  const entries = [];
  let application = [];
  for (let after = 0; after !== null; ) {
    const page = await get(`${one(id)}/audit`, { after, limit: 1000 }, signal);
    entries.push(...page.entries);
    ({ application, next: after } = page);
  }
  const there = application.map((entry) => ({ ...entry, reason: `${entry.reason}, in the application's table` }));
  return [...entries, ...there].sort((a, b) => Date.parse(a.timestamp) - Date.parse(b.timestamp));
}

/** The steps after an event's seq, page by page. */
async function explain(id, seq, signal) {
  const steps = [];
  for (let after = seq; after !== null; ) {
    const found = await get(`${one(id)}/explain`, { after, limit: 10_000 }, signal);
    steps.push(...found.steps);
    after = found.next;
  }
  return steps;
}

export const api = {
  access: () => get("api/access"),
  login: (token) => ask("POST", "login", { body: { token } }),
  logout: () => ask("POST", "logout"),
  workflows: (query, signal) => get("api/workflow-history", query, signal),
  allWorkflows,
  workflow: (id, signal) => get(one(id), {}, signal),
  audit,
  events: (id, names, signal) => get(`${one(id)}/events?${new URLSearchParams(names)}`, {}, signal),
  explain,
  tree: (id, signal) => get(`${one(id)}/tree`, {}, signal),
  resync: (id, force) => ask("POST", "api/workflow-history/resync", { query: { adw_id: id, force } }),
  spend: (query, signal) => get("api/spend", query, signal),
  whatIf: (query, signal) => get("api/what-if", query, signal),
  forecast: (query, signal) => get("api/forecast", query, signal),
  budgets: (query, signal) => get("api/budgets", query, signal),
  stale: (signal) => get("api/stale", {}, signal),
  end: (id, status) => ask("POST", "api/events", { body: { type: `workflow_${status}`, workflow_id: id } }),
  accept: (id, reason, kinds) =>
    ask("POST", `api/stale/${encodeURIComponent(id)}/accept`, { body: { reason, kinds } }),
  health: (signal) => get("api/health", {}, signal),
  verify: () => ask("POST", "api/verify"),
  webhooks: (signal) => get("api/webhooks", {}, signal),
  resend: (id) => ask("POST", `api/webhooks/${encodeURIComponent(id)}/resend`),
};
