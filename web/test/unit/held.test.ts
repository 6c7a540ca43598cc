// What is not sent: it is seen, whatever it is, and says why.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Content } from "../../core/model/body.ts";
import { messageId, userId } from "../../core/model/ids.ts";
import { articles, type Context, type Waiting } from "../../core/model/timeline.ts";

const ann = userId("1".repeat(32));
const id = (n: number) => messageId(`00000000-0000-0000-0000-${String(n).padStart(12, "0")}`);
const context: Context = { me: ann, isGroup: false, nameOf: () => "Ann", isAdmin: () => false, reach: new Map() };
const held: Waiting["held"] = { kind: "keysChanged", detail: "" };
const show = (content: Content, why: Waiting["held"]) => articles([], [{ id: id(1), at: 1, content, held: why }], context);

test("an update that is held stands in the log, as what is behind it waits", () => {
  const edit: Content = { kind: "edit", of: id(2), text: "better", mentions: [] };
  const reaction: Content = { kind: "reaction", of: id(2), emoji: "👍", off: false };
  assert.deepEqual(show(edit, held).map(({ text, state }) => [text, state]), [["better", "notSent"]]);
  assert.deepEqual(show(reaction, held).map(({ text, state }) => [text, state]), [["👍", "notSent"]]);
  assert.deepEqual(show({ kind: "delete", of: [id(2)] }, held).map(({ text, state }) => [text, state]), [["", "notSent"]]);
});

test("an update that is on its way does not", () => {
  assert.deepEqual(show({ kind: "reaction", of: id(2), emoji: "👍", off: false }, null), []);
});
