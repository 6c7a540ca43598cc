// Numbers, times and plural forms as a language writes them.

/** What a language needs for its sentences. */
export interface Format {
  /** The number as the language writes it. */
  number: (n: number) => string;
  /** The form for `n`; a form that is missing is the one called `other`. */
  plural: (n: number, forms: Partial<Record<Intl.LDMLPluralRule, string>> & { other: string }) => string;
  /** Bytes: "1.8 MB". */
  size: (bytes: number) => string;
  /** 14:12 */
  time: (ms: number) => string;
  /** 24 November 2026 */
  date: (ms: number) => string;
  /** 24 November, with the year where it is another than now's. */
  day: (ms: number, now: number) => string;
  /** For the list: a time today, else yesterday, the weekday, or the date. */
  brief: (ms: number, now: number) => string;
  /** For a day line: today, yesterday, the weekday with its date. */
  dayLine: (ms: number, now: number) => string;
  /** "12 minutes ago", "yesterday". */
  ago: (ms: number, now: number) => string;
  /** Names joined as the language joins them. */
  list: (names: readonly string[]) => string;
}

const DAY_MS = 86_400_000;
const startOfDay = (ms: number): number => new Date(ms).setHours(0, 0, 0, 0);
const capital = (text: string): string => text.charAt(0).toLocaleUpperCase() + text.slice(1);

/** The formats of `language`, in the person's own region if they have one for it. */
export function formatOf(language: string, fallback: string): Format {
  const locale = navigator.languages.find((l) => l.startsWith(language)) ?? fallback;
  const numbers = new Intl.NumberFormat(locale);
  const rules = new Intl.PluralRules(locale);
  const sizes = ["byte", "kilobyte", "megabyte", "gigabyte"].map(
    (unit) => new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: unit === "byte" ? "long" : "short", maximumSignificantDigits: 3 }),
  );
  const names = new Intl.ListFormat(locale, { type: "conjunction" });
  const times = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
  const dates = new Intl.DateTimeFormat(locale, { day: "numeric", month: "long", year: "numeric" });
  const days = new Intl.DateTimeFormat(locale, { day: "numeric", month: "long" });
  const briefDays = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" });
  const weekdays = new Intl.DateTimeFormat(locale, { weekday: "long" });
  const full = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" });
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  const daysAgo = (ms: number, now: number): number => Math.round((startOfDay(now) - startOfDay(ms)) / DAY_MS);
  const near = (days: number): string => capital(relative.format(-days, "day"));
  const sameYear = (ms: number, now: number): boolean => new Date(ms).getFullYear() === new Date(now).getFullYear();
  return {
    number: (n) => numbers.format(n),
    plural: (n, forms) => (forms[rules.select(n)] ?? forms.other).replace("#", numbers.format(n)),
    size: (bytes) => {
      // What would be 1,000 KB is 1 MB.
      const step = bytes < 999.5 ? 0 : bytes < 999_500 ? 1 : bytes < 999_500_000 ? 2 : 3;
      return (sizes[step] ?? numbers).format(bytes / 1000 ** step);
    },
    time: (ms) => times.format(ms),
    date: (ms) => dates.format(ms),
    day: (ms, now) => (sameYear(ms, now) ? days : dates).format(ms),
    brief: (ms, now) => {
      const past = daysAgo(ms, now);
      if (past <= 0) return times.format(ms);
      if (past === 1) return near(1);
      return past < 7 ? capital(weekdays.format(ms)) : briefDays.format(ms);
    },
    dayLine: (ms, now) => {
      const past = daysAgo(ms, now);
      if (past <= 1 && past >= 0) return near(past);
      return sameYear(ms, now) ? full.format(ms) : dates.format(ms);
    },
    ago: (ms, now) => {
      const minutes = Math.floor((now - ms) / 60_000);
      if (minutes < 1) return capital(relative.format(0, "second"));
      if (minutes < 60) return relative.format(-minutes, "minute");
      const past = daysAgo(ms, now);
      if (past === 0) return relative.format(-Math.floor(minutes / 60), "hour");
      return past === 1 ? near(1) : (sameYear(ms, now) ? days : dates).format(ms);
    },
    list: (all) => names.format(all),
  };
}
