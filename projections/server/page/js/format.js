// Figures for people. Money arrives as text and is exact: nanodollars in a BigInt; floats only position marks in charts.

const NANO = 1_000_000_000n;
const counts = new Intl.NumberFormat("en-US");
const briefs = new Intl.NumberFormat("en-US", {
  notation: "compact",
  minimumSignificantDigits: 3,
  maximumSignificantDigits: 3,
});
const clock = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });
const rounds = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 3 });
const MONTHS = new Intl.DateTimeFormat("en-US", { month: "short" });
const DAYS = new Intl.DateTimeFormat("en-US", { weekday: "short", month: "short", day: "numeric", year: "numeric" });

/** What no model or agent is named for, as the API calls it. */
export const UNATTRIBUTED = "(unattributed)";

/** The zone of this browser, in which days and times are shown. */
export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** Nanodollars of an amount as the API spells it, such as "-0.24612765". @param {string} text */
export function nanousd(text) {
  const [, sign, whole, decimals = ""] = /^(-?)(\d+)(?:\.(\d{1,9}))?$/.exec(text);
  const value = BigInt(whole) * NANO + BigInt(decimals.padEnd(9, "0"));
  return sign ? -value : value;
}

/** The same, of nothing where there is no figure yet. @param {string | null} text */
export const nanousdOrNothing = (text) => (text === null ? 0n : nanousd(text));

/** An amount as the API spells it. @param {bigint} nano */
export function wire(nano) {
  const [sign, size] = nano < 0n ? ["-", -nano] : ["", nano];
  const decimals = String(size % NANO)
    .padStart(9, "0")
    .replace(/0{1,7}$/, "");
  return `${sign}${size / NANO}.${decimals}`;
}

/**
 * An amount for people: cents, or below ten cents four decimals; of less its first two digits, as the commands show it,
 * so that little is not shown as nothing.
 * @param {string | bigint | null} amount null is "unknown"
 */
export function usd(amount) {
  if (amount === null || amount === undefined) return "unknown";
  const nano = typeof amount === "bigint" ? amount : nanousd(amount);
  const [sign, size] = nano < 0n ? ["−", -nano] : ["", nano];
  const step = size >= NANO / 10n || size % (NANO / 100n) === 0n ? NANO / 100n : NANO / 10_000n;
  if (size > 0n && size * 2n <= step) return `${sign}$0.${firstDigits(size)}`;
  const rounded = (size + step / 2n) / step;
  const perDollar = NANO / step;
  return `${sign}$${counts.format(rounded / perDollar)}.${String(rounded % perDollar).padStart(String(perDollar).length - 1, "0")}`;
}

/** The decimals of an amount far below a cent, rounded to two digits. @param {bigint} nano */
function firstDigits(nano) {
  const step = 10n ** BigInt(Math.max(0, String(nano).length - 2));
  const rounded = ((nano + step / 2n) / step) * step;
  return String(rounded).padStart(9, "0").replace(/0+$/, "");
}

/**
 * A cost with its honesty: "$2.37", "at least $2.37, 3 unpriced", "unpriced", "unknown".
 * @param {{cost: string | null, basis: string | null, unpriced: number}} of
 */
export function honest({ cost, basis, unpriced }) {
  const lacks = basis === null || basis === "partial";
  if (cost === null || (lacks && nanousd(cost) === 0n)) return unpriced ? `unpriced (${count(unpriced)})` : "unknown";
  if (basis !== "partial") return usd(cost);
  return `at least ${usd(cost)}${unpriced ? `, ${count(unpriced)} unpriced` : ""}`;
}

/** The words in place of a sum of nothing that is a lower bound; null where the sum is a figure. */
export const noFigure = ({ cost_usd: cost, at_least, unpriced_events: unpriced }) =>
  !at_least || nanousd(cost) !== 0n ? null : unpriced > 0 ? "unpriced" : "unknown";

/** What a cost changed from. @param {string | null} cost */
export const costBefore = (cost) => (cost === null || nanousd(cost) === 0n ? "nothing" : usd(cost));

/** Whether more is stored than the ledger adds up to. */
export const isHeld = (row) => Boolean(row.cost_breakdown.by_agent?.["(held)"]);

/** The cost of a row, likewise; one that is held was set by hand, and is no lower bound. */
export const rowCost = (row) =>
  isHeld(row)
    ? usd(row.actual_cost_total)
    : honest({ cost: row.actual_cost_total, basis: row.cost_basis, unpriced: row.unpriced_events });

/**
 * What lines of `/api/spend` add up to: a lower bound when one of them is.
 * @param {{cost_usd: string, at_least: boolean, unpriced_events: number}[]} lines
 */
export const sumOf = (lines) => ({
  cost_usd: wire(lines.reduce((sum, { cost_usd: cost }) => sum + nanousd(cost), 0n)),
  at_least: lines.some(({ at_least }) => at_least),
  unpriced_events: lines.reduce((sum, { unpriced_events: events }) => sum + events, 0),
});

/** How many messages have no price. */
export const messages = (unpriced) => Object.values(unpriced).reduce((sum, model) => sum + model.events, 0);

/** @param {number | bigint} number */
export const count = (number) => counts.format(number);

/** A count at a glance: 1,043,195,275 as "1.04B". */
export const brief = (number) => (number < 10_000 ? count(number) : briefs.format(number));

/** Dollars on a scale, whose steps are round: "$20", "$0.05", "$2.5M". @param {number} dollars */
export function scale(dollars, step) {
  const decimals = step < 1 ? Math.max(2, -Math.floor(Math.log10(step) + 1e-9)) : 0;
  const size = Math.abs(dollars);
  const text = decimals && size ? size.toFixed(decimals) : rounds.format(size);
  return `${dollars < 0 ? "−" : ""}$${text}`;
}

/** @param {number} number of a hundred */
export const percent = (number) =>
  `${number === 0 || Math.abs(number) >= 10 ? Math.round(number) : number.toFixed(1)} %`.replace("-", "−");

/** "1 message", "3 messages". */
export const many = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

/** Seconds as "42 s", "14 m 1 s", "3 h 5 m", "12 d 4 h". @param {number | null} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const whole = Math.max(0, Math.floor(seconds));
  const units = [
    ["d", 86_400],
    ["h", 3600],
    ["m", 60],
    ["s", 1],
  ];
  const first = units.findIndex(([, size]) => whole >= size);
  if (first < 0) return "0 s";
  const [[name, size], next] = [units[first], units[first + 1]];
  const amount = Math.floor(whole / size);
  const rest = next && amount < (name === "d" ? 10 : 100) ? Math.floor((whole % size) / next[1]) : 0;
  return `${count(amount)} ${name}${rest ? ` ${rest} ${next[0]}` : ""}`;
}

/** The workflows in which all that a row cost counts; none unless it was moved. */
export const movedTo = (row) => (row.status === "moved" ? Object.keys(row.cost_breakdown.moved_to ?? {}) : []);

/** Whether a workflow is at work, and not only open. */
export const isActive = (row) => row.status === "running" && !row.idle && !movedTo(row).length;

/** A moment in this browser's zone, to the second. @param {string | null} moment ISO 8601 */
export const local = (moment) => (moment ? clock.format(new Date(moment)) : "");

/** The same to the minute. @param {string | null} moment */
export const minute = (moment) => local(moment).slice(0, 16);

/**
 * A period as the label of a chart's axis: "Nov 3", "W47", "Nov"; with its year "Nov 3, 2026", "W47 2026", "Nov 2026".
 * @param {string} period as the API names it
 */
export function periodBriefly(period, withYear) {
  const [, year, month, date] = /^(\d{4})-(\d\d)(?:-(\d\d))?$/.exec(period) ?? [];
  if (!month) return withYear ? period.replace(/^(\d{4})-(W\d\d)$/, "$2 $1") : period.replace(/^\d{4}-/, "");
  const name = MONTHS.format(new Date(Number(year), Number(month) - 1, 1));
  if (date) return `${name} ${Number(date)}${withYear ? `, ${year}` : ""}`;
  return withYear ? `${name} ${year}` : name;
}

/** The same in full: "Tue, Nov 3, 2026". */
export function periodInFull(period) {
  const [, year, month, date] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(period) ?? [];
  return date
    ? DAYS.format(new Date(Number(year), Number(month) - 1, Number(date)))
    : /W/.test(period)
      ? `Week ${period}`
      : periodBriefly(period, true);
}

/** The calendar day of a moment here, as 2026-11-23. @param {Date} date */
export function day(date) {
  const two = (number) => String(number).padStart(2, "0");
  return `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** Whether a text names a calendar day. @param {string | null} text */
export const isDay = (text) =>
  /^\d{4}-\d\d-\d\d$/.test(text ?? "") && "1970" <= text && text < "9999" && plusDays(text, 0) === text;

/** So many days from a day. @param {string} from as 2026-11-23 */
export function plusDays(from, days) {
  const [year, month, date] = from.split("-").map(Number);
  return day(new Date(year, month - 1, date + days));
}

/** The moment at which a day begins here, for the API. */
export const startOf = (text) => new Date(`${text}T00:00:00`).toISOString();

/** A word of a shell command, quoted where a shell would read more into it. @param {string} text */
export const word = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`);

/** CSV, in which no text is a formula to a spreadsheet. @param {(string | number | null)[][]} rows */
export const csv = (rows) => rows.map((cells) => cells.map(cell).join(",") + "\r\n").join("");

function cell(value) {
  if (typeof value === "number") return String(value);
  const text = String(value ?? "");
  const safe = /^[=+\-@\t\r]/.test(text) && !/^-?\d+(\.\d+)?$/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
