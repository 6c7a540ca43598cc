// From what a server says to typed values: everything from outside passes here once, and what is malformed is an error.

/** An answer or a frame that is not what docs/api.md says. */
export class Malformed extends Error {
  constructor(path: string, expected: string) {
    super(`the server's answer is malformed: ${path || "it"} is not ${expected}`);
    this.name = "Malformed";
  }
}

/** Reads a value; `path` says where it stands. */
export type Decode<T> = (value: unknown, path: string) => T;

/** A text. */
export const text: Decode<string> = (value, path) => {
  if (typeof value !== "string") throw new Malformed(path, "a text");
  return value;
};

/** An integer. */
export const integer: Decode<number> = (value, path) => {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw new Malformed(path, "an integer");
  return value;
};

/** Yes or no. */
export const flag: Decode<boolean> = (value, path) => {
  if (typeof value !== "boolean") throw new Malformed(path, "true or false");
  return value;
};

/** A text that `parse` takes; what it throws is `Malformed`. */
export const parsed =
  <T>(parse: (text: string) => T): Decode<T> =>
  (value, path) => {
    const found = text(value, path);
    try {
      return parse(found);
    } catch (error) {
      throw new Malformed(path, error instanceof Error ? error.message : "what it must be");
    }
  };

/** A text that is empty where there is nothing. */
export const orEmpty =
  <T>(decode: Decode<T>): Decode<T | null> =>
  (value, path) =>
    value === "" ? null : decode(value, path);

/** A list. */
export const list =
  <T>(decode: Decode<T>): Decode<T[]> =>
  (value, path) => {
    if (!Array.isArray(value)) throw new Malformed(path, "a list");
    return value.map((one: unknown, i) => decode(one, `${path}[${i}]`));
  };

function fieldsOf(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Malformed(path, "an object");
  return value as Record<string, unknown>;
}

/** An object whose names are data. */
export const record =
  <T>(decode: Decode<T>): Decode<Map<string, T>> =>
  (value, path) =>
    new Map(Object.entries(fieldsOf(value, path)).map(([name, one]) => [name, decode(one, `${path}.${name}`)]));

/** A field that need not be there. */
export const optional =
  <T, U>(decode: Decode<T>, otherwise: U): Decode<T | U> =>
  (value, path) =>
    value === undefined || value === null ? otherwise : decode(value, path);

/** An object with these fields; others are ignored. */
export const object =
  <T>(fields: { readonly [Name in keyof T]: Decode<T[Name]> }): Decode<T> =>
  (value, path) => {
    const found = fieldsOf(value, path);
    const out: Partial<T> = {};
    for (const name in fields) out[name] = fields[name](found[name], path ? `${path}.${name}` : name);
    return out as T;
  };

/** JSON, read. */
export function fromJson<T>(json: string, decode: Decode<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new Malformed("", "JSON");
  }
  return decode(value, "");
}
