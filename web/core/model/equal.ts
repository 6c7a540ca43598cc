// Keeps the identity of unchanged values, so that only changed ones are rendered again.

/** Whether two plain values (or maps) are deeply equal. */
export function isSame(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  if (one instanceof Map || other instanceof Map) {
    return one instanceof Map && other instanceof Map && isSame([...one], [...other]);
  }
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const names = Object.keys(one);
  if (names.length !== Object.keys(other).length) return false;
  return names.every((name) => isSame((one as Record<string, unknown>)[name], (other as Record<string, unknown>)[name]));
}

/** The old value if it equals the new one. */
export const reuse = <T>(before: T | undefined, now: T): T => (before !== undefined && isSame(before, now) ? before : now);

/** A list that reuses the objects that did not change; the same list if nothing changed. */
export function reuseList<T extends { id: string }>(before: readonly T[], now: readonly T[]): readonly T[] {
  const known = new Map(before.map((item) => [item.id, item]));
  const list = now.map((item) => reuse(known.get(item.id), item));
  return list.length === before.length && list.every((item, i) => item === before[i]) ? before : list;
}
