import assert from "node:assert/strict";
import { test } from "node:test";
import type { Content } from "../../core/model/body.ts";
import { messageId, userId } from "../../core/model/ids.ts";
import { articles, type Context, type Row, versionsOf, type Waiting } from "../../core/model/timeline.ts";
import type { Article } from "../../core/model/view.ts";
import { randomOf } from "../world/random.ts";

const user = (n: number) => userId(String(n).padStart(32, "0"));
const id = (n: number) => messageId(`00000000-0000-0000-0000-${String(n).padStart(12, "0")}`);
const [ann, ben, cleo] = [user(1), user(2), user(3)];
const names = new Map([[ann, "Ann"], [ben, "Ben"], [cleo, "Cleo"]]);
const context: Context = { me: ann, isGroup: true, nameOf: (one) => names.get(one) ?? "", isAdmin: (one) => one === cleo, reach: new Map() };
const text = (written: string): Content => ({ kind: "text", text: written, reply: null, mentions: [] });
const row = (seq: number, by: typeof ann, content: Content | null, trouble: Row["trouble"] = null): Row => {
  const type = content === null || content.kind === "text" || content.kind === "unknown" ? "Message" : "Update";
  return { seq, id: id(seq), user: by, at: seq, until: null, type, content, trouble, byAdmin: by === cleo };
};
const show = (rows: Row[], waiting: Waiting[] = [], of: Partial<Context> = {}): Article[] => articles(rows, waiting, { ...context, ...of });
const edit = (of: number, written: string): Content => ({ kind: "edit", of: id(of), text: written, mentions: [] });
const react = (of: number, emoji: string, off = false): Content => ({ kind: "reaction", of: id(of), emoji, off });

test("only its writer can change a text, and the newest change counts", () => {
  const [shown] = show([row(1, ann, text("one")), row(2, ann, edit(1, "two")), row(3, ben, edit(1, "forged")), row(4, ann, edit(1, "three"))]);
  assert.equal(shown?.text, "three");
  assert.ok(shown.edited);
  const rows = [row(1, ann, text("one")), row(2, ann, edit(1, "two"))];
  assert.deepEqual(versionsOf(rows[0] as Row, rows).map((version) => version.text), ["one", "two"]);
});

test("what is deleted says nothing any more; others cannot delete, admins can", () => {
  const del = (of: number): Content => ({ kind: "delete", of: [id(of)] });
  const shown = show([row(1, ann, text("mine")), row(2, ann, text("hers")), row(3, ann, text("stays")), row(4, ann, del(1)), row(5, cleo, del(2)), row(6, ben, del(3))]);
  assert.deepEqual(shown.map((one) => [one.deleted, one.text]), [[true, ""], [true, ""], [false, "stays"]]);
});

test("what is deleted has no delivery state, unless it waits for its writer, and no earlier versions", () => {
  const del: Content = { kind: "delete", of: [id(1)] };
  const rows = [row(1, ann, text("one")), row(2, ann, edit(1, "two")), row(3, ann, edit(1, "three")), row(4, ann, del)];
  assert.deepEqual(show(rows).map(({ deleted, state }) => [deleted, state]), [[true, null]]);
  assert.deepEqual(versionsOf(rows[0] as Row, rows), []);
  assert.deepEqual(versionsOf({ ...(rows[0] as Row), content: null, erased: true }, rows.slice(0, 3)), []);
  const waiting: Waiting[] = [
    { id: id(7), at: 7, content: text("held"), held: { kind: "other", detail: "" } },
    { id: id(8), at: 8, content: { kind: "delete", of: [id(7)] }, held: null },
  ];
  assert.deepEqual(show([], waiting).map(({ deleted, state }) => [deleted, state]), [[true, "notSent"]]);
});

test("a reply to what was deleted says so, whether or not its target is loaded, and quotes nothing of it", () => {
  const reply = row(3, ben, { kind: "text", text: "no", reply: { id: id(1), user: ann, quote: "a secret" }, mentions: [] });
  const [target, deletion] = [row(1, ann, text("a secret")), row(4, ann, { kind: "delete", of: [id(1)] })];
  const quoted = { id: id(1), name: "Ann", own: true, quote: "", deleted: true };
  assert.deepEqual(show([target, reply, deletion])[1]?.reply, quoted);
  assert.deepEqual(show([{ ...target, content: null, erased: true }, reply])[1]?.reply, quoted);
  assert.deepEqual(show([reply, deletion])[0]?.reply, quoted);
  // Others cannot.
  assert.equal(show([reply, row(4, ben, { kind: "delete", of: [id(1)] })])[0]?.reply?.quote, "a secret");
});

test("whoever becomes an admin later, or is one no longer, has deleted what they could then", () => {
  const del = (of: number): Content => ({ kind: "delete", of: [id(of)] });
  const byOneOfThen: Row = { ...row(3, ben, del(1)), byAdmin: true };
  const byOneOfNow: Row = { ...row(4, cleo, del(2)), byAdmin: false };
  const shown = show([row(1, ann, text("deleted")), row(2, ann, text("stays")), byOneOfThen, byOneOfNow]);
  assert.deepEqual(shown.map((one) => one.deleted), [true, false]);
});

test("a signed update counts although something else is wrong", () => {
  const shown = show([
    row(1, ann, text("x")),
    row(2, ann, text("deleted")),
    row(3, ann, edit(1, "y"), "forked"),
    row(4, ann, { kind: "delete", of: [id(2)] }, "forked"),
    row(5, ben, edit(1, "z"), "forked"),
    row(6, ben, react(1, "👍"), "forked"),
  ]);
  assert.deepEqual(shown.map((one) => [one.text, one.deleted, one.reactions.length, one.trouble]), [["y", false, 1, null], ["", true, 0, null]]);
});

test("a reaction has one state for each person and emoji", () => {
  const [shown] = show([
    row(1, ann, text("x")),
    row(2, ben, react(1, "👍")),
    row(3, ben, react(1, "👍")),
    row(4, ann, react(1, "👍")),
    row(5, cleo, react(1, "🎉")),
    row(6, cleo, react(1, "🎉", true)),
  ]);
  assert.deepEqual(shown?.reactions, [{ emoji: "👍", mine: true, names: ["Ben"] }]);
});

test("an update without a good signature has no effect", () => {
  const [shown] = show([row(1, ann, text("x")), row(2, ann, edit(1, "y"), "notProven"), row(3, ann, { kind: "delete", of: [id(1)] }, "notProven")]);
  assert.deepEqual([shown?.text, shown?.deleted], ["x", false]);
});

test("an unknown kind shows its other text, or that a newer client is needed; it is never dropped", () => {
  const shown = show([row(1, ben, { kind: "unknown", alt: "a poll" }), row(2, ben, { kind: "unknown", alt: "" }), row(3, ben, null, "waitingForKey")]);
  assert.deepEqual(shown.map((one) => [one.text, one.trouble]), [["a poll", null], ["", "newerClient"], ["", "waitingForKey"]]);
});

test("what receipts say only goes up", () => {
  const rows = [row(1, ann, text("a")), row(5, ann, text("b")), row(9, ann, text("c"))];
  const reach = new Map([[ben, { delivered: 5, seen: 1 }]]);
  assert.deepEqual(show(rows, [], { reach }).map(({ state }) => state), ["seen", "delivered", "sent"]);
  assert.deepEqual(show(rows, [], { reach }).map(({ seenBy }) => seenBy.length), [1, 0, 0]);
});

test("what waits is shown at once, and once", () => {
  const waiting: Waiting[] = [
    { id: id(7), at: 7, content: text("on its way"), held: null },
    { id: id(8), at: 8, content: react(1, "👍"), held: null },
    { id: id(9), at: 9, content: text("not sent"), held: { kind: "other", detail: "" } },
  ];
  const shown = show([row(1, ben, text("x"))], waiting);
  assert.deepEqual(shown.map((one) => [one.text, one.state]), [["x", null], ["on its way", "sending"], ["not sent", "notSent"]]);
  assert.equal(shown[0]?.reactions[0]?.mine, true);
  const echoed = show([row(1, ben, text("x")), row(7, ann, text("on its way"))], waiting.slice(0, 1));
  assert.deepEqual(echoed.map(({ state }) => state), [null, "sent"]);
});

test("a reply shows its target, not what it claims of it", () => {
  const reply: Content = { kind: "text", text: "no", reply: { id: id(1), user: cleo, quote: "something else" }, mentions: [ben] };
  const shown = show([row(1, ben, text("x")), row(2, ben, edit(1, "y")), row(3, ann, reply)]);
  assert.deepEqual(shown[1]?.reply, { id: id(1), name: "Ben", own: false, quote: "y", deleted: false });
  assert.deepEqual([...(shown[1]?.mentions ?? [])], [["Ben", ben]]);
  assert.equal(show([row(3, ann, reply)])[0]?.reply?.quote, "something else");
});

test("the result does not depend on the order in which updates and their targets came", () => {
  const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
  const random = randomOf(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  for (let run = 0; run < 200; run++) {
    const rows = Array.from({ length: 30 }, (_, i) => {
      const of = 1 + Math.floor(random() * 30);
      const contents = [text(`text ${i}`), edit(of, `edit ${i}`), react(of, pick(["👍", "🎉"]), random() < 0.4), { kind: "delete", of: [id(of)] } as Content];
      return row(i + 1, pick([ann, ben, cleo]), pick(contents));
    });
    const moved = [...rows].sort(() => random() - 0.5);
    const inOrder = (list: Article[]): Article[] => [...list].sort((one, other) => (one.id < other.id ? -1 : 1));
    assert.deepEqual(inOrder(show(moved)), inOrder(show(rows)), `seed ${seed}`);
  }
});
