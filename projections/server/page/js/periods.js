// Days, weeks and months of the calendar, as the API names them: 2026-11-23, 2026-W48, 2026-11.

import { day, plusDays } from "./format.js";

/** So many periods a chart has at most: the days of fifty years. */
const MOST = 20_000;
/** The spans that are of a month, and days that were chosen without a name, which may be. */
const MONTHS = ["month", "last-month", null];
const DAY_MS = 86_400_000;

const dateOf = (text) => {
  const [year, month, date = 1] = text.split("-").map(Number);
  return new Date(year, month - 1, date);
};

/** The ISO 8601 week of a day: weeks start on Monday, and belong to the year of their Thursday. */
export function weekOf(text) {
  const date = dateOf(text);
  const thursday = new Date(date.getFullYear(), date.getMonth(), date.getDate() + 4 - (date.getDay() || 7));
  const year = thursday.getFullYear();
  const days = Math.round((thursday - new Date(year, 0, 1)) / DAY_MS);
  return `${year}-W${String(Math.floor(days / 7) + 1).padStart(2, "0")}`;
}

/** The period that a day is in. @param {"day" | "week" | "month"} period */
export const periodOf = (period, text) =>
  period === "week" ? weekOf(text) : period === "month" ? text.slice(0, 7) : text;

/** All periods from a day to another, those without spend too; none without both days, or of other kinds. */
export function periodsOf(period, since, until) {
  if (!since || !until || !["day", "week", "month"].includes(period)) return [];
  const found = new Set();
  for (let at = since; at <= until && found.size < MOST; at = plusDays(at, 1)) found.add(periodOf(period, at));
  return [...found];
}

/** The first and the last day of a period. */
export function daysOf(period) {
  const week = /^(\d{4})-W(\d\d)$/.exec(period);
  if (week) {
    const fourth = new Date(Number(week[1]), 0, 4); // is in the first week
    const monday = 4 - ((fourth.getDay() || 7) - 1) + 7 * (Number(week[2]) - 1);
    const first = day(new Date(Number(week[1]), 0, monday));
    return [first, plusDays(first, 6)];
  }
  if (period.length > 7) return [period, period];
  const first = dateOf(period);
  return [day(first), day(new Date(first.getFullYear(), first.getMonth() + 1, 0))];
}

/** The spans that can be chosen by their name, as seen from a day: the first and the last day of each. */
export function spansOf(today) {
  const date = dateOf(today);
  const month = (offset) => new Date(date.getFullYear(), date.getMonth() + offset, 1);
  const last = (days) => [plusDays(today, 1 - days), today];
  return {
    today: ["Today", ...last(1)],
    week: ["7 days", ...last(7)],
    "30-days": ["30 days", ...last(30)],
    "90-days": ["90 days", ...last(90)],
    year: ["a year", ...last(365)],
    month: ["Month to date", day(month(0)), today],
    "last-month": ["Last month", day(month(-1)), plusDays(day(month(0)), -1)],
  };
}

/** The days before some, as many; before a part of a month, unless days were chosen, the same days of the month before. */
export function before({ since, until, span = null }) {
  const first = dateOf(since);
  const days = Math.round((dateOf(until) - first) / DAY_MS) + 1;
  const isMonth = first.getDate() === 1 && until.slice(0, 7) === since.slice(0, 7) && MONTHS.includes(span);
  if (!isMonth) return [plusDays(since, -days), plusDays(since, -1)];
  const begin = day(new Date(first.getFullYear(), first.getMonth() - 1, 1));
  const wholeMonth = plusDays(until, 1).slice(0, 7) !== until.slice(0, 7);
  const end = plusDays(since, -1);
  const same = plusDays(begin, days - 1);
  return [begin, wholeMonth || same > end ? end : same];
}
