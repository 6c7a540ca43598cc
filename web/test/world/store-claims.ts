// What every backend must do: the same claims hold for memory (test/unit) and IndexedDB (test/browser).

import { type Backend, type Key, LostLead } from "../../core/store/backend.ts";

function same(found: unknown, expected: unknown): void {
  const [one, other] = [JSON.stringify(found), JSON.stringify(expected)];
  if (one !== other) throw new Error(`${one} is not ${other}`);
}

/** Throws at the first claim that does not hold. `open` returns an empty backend each time. */
export const claims: Readonly<Record<string, (open: () => Promise<Backend>) => Promise<void>>> = {
  "a value that was put can be read, and a later one replaces it": async (open) => {
    const backend = await open();
    same(await backend.get("meta", "x"), undefined);
    await backend.write([{ put: "meta", key: "x", value: { a: [1, "two"] } }]);
    await backend.write([{ put: "meta", key: "x", value: { a: 2 } }]);
    same(await backend.get("meta", "x"), { a: 2 });
  },
  "ranges are in order, both ends included, from either end": async (open) => {
    const backend = await open();
    const keys: Key[] = [["b", 1], ["a", 10], ["a", 2], ["a", 1], ["b", 0]];
    await backend.write(keys.map((key) => ({ put: "rows", key, value: key })));
    const keysOf = async (...of: Parameters<Backend["range"]>): Promise<Key[]> => (await backend.range(...of)).map(({ key }) => key);
    same(await keysOf("rows", null), [["a", 1], ["a", 2], ["a", 10], ["b", 0], ["b", 1]]);
    same(await keysOf("rows", { from: ["a", 2], to: ["b", 0] }), [["a", 2], ["a", 10], ["b", 0]]);
    same(await keysOf("rows", { from: ["a", 0], to: ["a", 99] }, { limit: 2, newestFirst: true }), [["a", 10], ["a", 2]]);
    same(await keysOf("rows", null, { limit: 1 }), [["a", 1]]);
    same(await keysOf("rows", { from: ["c", 0], to: ["d", 0] }), []);
  },
  "rows that are appended keep their order, and can be changed in their place": async (open) => {
    const backend = await open();
    await backend.write([{ append: "outbox", value: "one" }, { append: "outbox", value: "two" }]);
    await backend.write([{ append: "outbox", value: "three" }]);
    const [, second] = await backend.range("outbox", null);
    if (!second) throw new Error("there is no second row");
    await backend.write([{ put: "outbox", key: second.key, value: "2" }]);
    same((await backend.range("outbox", null)).map(({ value }) => value), ["one", "2", "three"]);
    await backend.write([{ remove: "outbox", key: second.key }]);
    await backend.write([{ append: "outbox", value: "four" }]);
    same((await backend.range("outbox", null)).map(({ value }) => value), ["one", "three", "four"]);
  },
  "a range can be cleared, and a table": async (open) => {
    const backend = await open();
    const keys: Key[] = [["a", 1], ["a", 2], ["b", 1]];
    await backend.write(keys.map((key) => ({ put: "rows", key, value: 0 })));
    await backend.write([{ clear: "rows", range: { from: ["a", 0], to: ["a", 9] } }]);
    same((await backend.range("rows", null)).map(({ key }) => key), [["b", 1]]);
    await backend.write([{ clear: "rows", range: null }]);
    same(await backend.range("rows", null), []);
  },
  "a batch is written whole, or not at all": async (open) => {
    const backend = await open();
    const uncloneable = (): void => undefined;
    let failed = false;
    await backend.write([{ put: "meta", key: "x", value: 1 }, { put: "rows", key: "y", value: uncloneable }]).catch(() => {
      failed = true;
    });
    same(failed, true);
    same([await backend.get("meta", "x"), await backend.get("rows", "y")], [undefined, undefined]);
  },
  "a tab that no longer leads writes nothing": async (open) => {
    const backend = await open();
    await backend.write([{ put: "meta", key: "term", value: 2 }]);
    let error: unknown;
    await backend.write([{ put: "rows", key: "x", value: 1 }], 1).catch((found: unknown) => {
      error = found;
    });
    same(error instanceof LostLead, true);
    same(await backend.get("rows", "x"), undefined);
    await backend.write([{ put: "rows", key: "x", value: 1 }], 2);
    same(await backend.get("rows", "x"), 1);
  },
  "what was read can be changed without changing what is stored": async (open) => {
    const backend = await open();
    await backend.write([{ put: "meta", key: "x", value: { list: [1] } }]);
    const read = (await backend.get("meta", "x")) as { list: number[] };
    read.list.push(2);
    same(await backend.get("meta", "x"), { list: [1] });
  },
};
