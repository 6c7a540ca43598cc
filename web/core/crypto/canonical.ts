// Canonical JSON (RFC 8785) with integers as the only numbers: one text for one value, so that a signature over the
// text is one over the value.

/** A value of JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
/** An object of JSON. */
export type JsonObject = { readonly [name: string]: Json };

/** Whether a value is an object. */
export const isObject = (value: Json | undefined): value is JsonObject => typeof value === "object" && value !== null && !Array.isArray(value);

/** A text or a value that has no canonical form. */
export class NotCanonical extends Error {
  constructor(why: string) {
    super(why);
    this.name = "NotCanonical";
  }
}

/** Nested deeper than anything that is ever signed. */
const MAX_DEPTH = 32;

/** Writes a value. */
export function canonical(value: Json, depth = 0): string {
  if (depth > MAX_DEPTH) throw new NotCanonical("nested too deep");
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) throw new NotCanonical("a number is not an integer");
    return String(value);
  }
  if (typeof value === "string") {
    if (!value.isWellFormed()) throw new NotCanonical("a text has half a character");
    return JSON.stringify(value);
  }
  if (isList(value)) return `[${value.map((one) => canonical(one, depth + 1)).join(",")}]`;
  // `<` compares UTF-16 code units, as section 3.2.3 asks.
  const names = Object.keys(value).sort((one, other) => (one < other ? -1 : 1));
  return `{${names.map((name) => `${canonical(name)}:${canonical(value[name] ?? null, depth + 1)}`).join(",")}}`;
}

const isList = (value: Json): value is readonly Json[] => Array.isArray(value);

/** Reads a text, which must be the one that `canonical` writes of what it says. */
export function readCanonical(text: string, maxLength: number): JsonObject {
  if (text.length > maxLength) throw new NotCanonical("too long");
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    throw new NotCanonical("not JSON");
  }
  if (typeof value !== "object" || value === null || isList(value)) throw new NotCanonical("not an object");
  // So a field twice, a space or another order of the fields is refused.
  if (canonical(value) !== text) throw new NotCanonical("not written canonically");
  return value;
}
