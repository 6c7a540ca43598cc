// Decodes answers and frames into typed values: everything from outside is validated here once, and malformed values are errors.

/** An answer or a frame that is not what docs/api.md says. */
export class Malformed extends Error {
  constructor(path: string, expected: string) {
    super(`the server's answer is malformed: ${path || "it"} is not ${expected}`);
    this.name = "Malformed";
  }
}

/** Reads a value; `path` says where it stands. `Json` is what it can read, of what the server may send. */
export type Decode<T, Json = never> = ((value: unknown, path: string) => T) & { readonly reads?: (json: Json) => void };

/** A text. */
export const text: Decode<string, string> = (value, path) => {
  if (typeof value !== "string") throw new Malformed(path, "a text");
  return value;
};

/** An integer. */
export const integer: Decode<number, number> = (value, path) => {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw new Malformed(path, "an integer");
  return value;
};

/** A boolean. */
export const flag: Decode<boolean, boolean> = (value, path) => {
  if (typeof value !== "boolean") throw new Malformed(path, "true or false");
  return value;
};

/** A text that `parse` takes; what it throws is `Malformed`. */
export const parsed =
  <T>(parse: (text: string) => T): Decode<T, string> =>
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
  <T, Json>(decode: Decode<T, Json>): Decode<T | null, Json> =>
  (value, path) =>
    value === "" ? null : decode(value, path);

/** A list. */
export const list =
  <T, Json>(decode: Decode<T, Json>): Decode<T[], readonly Json[]> =>
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
  <T, Json>(decode: Decode<T, Json>): Decode<Map<string, T>, Readonly<Record<string, Json>>> =>
  (value, path) =>
    new Map(Object.entries(fieldsOf(value, path)).map(([name, one]) => [name, decode(one, `${path}.${name}`)]));

/** A field that need not be there. */
export const optional =
  <T, U, Json>(decode: Decode<T, Json>, otherwise: U): Decode<T | U, Json | null | undefined> =>
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

/** What fields are read as. */
type Read<Fields> = { -readonly [Name in keyof Fields]: Fields[Name] extends (value: unknown, path: string) => infer T ? T : never };

/**
 * An object of the server's, `Json` by the types that are made of it (answers.ts): each field that is read is one that it has,
 * and all that it may hold is read.
 */
export const answer =
  <Json>() =>
  <Fields extends { readonly [Name in keyof Fields]: Name extends keyof Json ? Decode<unknown, Json[Name]> : never }>(
    fields: Fields,
  ): Decode<Read<Fields>, Json> => {
    type Decoders = { readonly [Name in keyof Read<Fields>]: Decode<Read<Fields>[Name]> };
    // What each decoder returns is what `Read` says; the compiler does not follow it through two mapped types.
    const decode: (value: unknown, path: string) => Read<Fields> = object<Read<Fields>>(fields as unknown as Decoders);
    return decode;
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
