// Times as the wire has them: `yyyy-MM-dd HH:mm:ss`, UTC.

/** Milliseconds since 1970 as the wire's text. */
export const wireTime = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace("T", " ");

/** The wire's text as milliseconds since 1970; throws if it is none. */
export function fromWireTime(text: string): number {
  const ms = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(text) ? Date.parse(`${text.replace(" ", "T")}Z`) : Number.NaN;
  if (Number.isNaN(ms)) throw new RangeError("a time");
  return ms;
}
