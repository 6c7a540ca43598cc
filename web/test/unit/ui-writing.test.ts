// Mentions in a text, suggestions, and the position of the "New messages" line.

import "./ui-globals.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Article, Entry, Person, UserId } from "../../core/index.ts";
import { mentionsIn, suggestionsAt } from "../../ui/conversation/suggestions.tsx";
import { PendingTexts } from "../../ui/conversation/pending-texts.ts";
import { emojiStarting, loadEmoji } from "../../ui/picker/emoji-index.ts";
import { directionOf } from "../../ui/text/direction.ts";
import { firstAfter } from "../../ui/conversation/timeline.ts";

const person = (id: string, name: string): Person => ({ id: id as UserId, name }) as Person;
const ann = person("1", "Ann");
const annKeller = person("2", "Ann Keller");
const otherAnn = person("3", "Ann");
const none = new Map<string, UserId>();

test("the longest name counts, at the beginning of a word and up to its end", () => {
  const named = (text: string): string[] => [...mentionsIn(text, [ann, annKeller], none).values()];
  assert.deepEqual(named("@Ann Keller, look"), ["2"]);
  assert.deepEqual(named("(@Ann) and @Ann Keller"), ["1", "2"]);
  assert.deepEqual(named("ann@Ann.example @Anna @Annex"), []);
  assert.deepEqual(named("no one"), []);
});

test("of two of one name the one who was picked is meant", () => {
  assert.deepEqual([...mentionsIn("@Ann", [ann, otherAnn], new Map([["Ann", otherAnn.id]])).values()], ["3"]);
});

test("a name that is typed out is not offered: Enter sends", () => {
  const offered = (text: string) => suggestionsAt(text, text.length, [ann, annKeller])?.all.map(({ label }) => label);
  assert.deepEqual(offered("Hi @an"), ["Ann", "Ann Keller"]);
  assert.deepEqual(offered("Hi @kel"), ["Ann Keller"]);
  assert.equal(suggestionsAt("Hi @Ann", 7, [ann]), null);
  assert.equal(offered("mail@an"), undefined);
});

test("the line stands before the first of others after what was the newest", () => {
  const entry = (id: string, own: boolean): Entry => ({ kind: "article", id, own }) as Article;
  const entries = [entry("1", false), entry("2", true), entry("3", false), entry("4", false)];
  assert.equal(firstAfter(entries, "1"), "3");
  assert.equal(firstAfter(entries, "4"), null);
  assert.equal(firstAfter(entries, null), null);
  assert.equal(firstAfter(entries, "gone"), null);
});

test("a text is read as its first letter is", () => {
  assert.deepEqual(["**Hello** سلام", "1. سلام Hello", "שלום", "12 👍", ""].map(directionOf), ["ltr", "rtl", "rtl", null, null]);
});

test("what is typed behind a text that is being written down, or over it, is a text of its own", () => {
  const leaving = new PendingTexts<{ raw: string }>();
  const presses = (box: string): string => {
    leaving.changed(box);
    const raw = leaving.rest(box);
    leaving.add({ raw });
    return raw;
  };
  assert.equal(presses("hello"), "hello");
  assert.equal(presses("hellox"), "x");
  leaving.changed("helloxy");
  assert.equal(leaving.rest("helloxy"), "y");
  assert.deepEqual([leaving.gone(), leaving.rest("xy"), leaving.gone(), leaving.rest("y")], [5, "y", 1, "y"]);

  assert.equal(presses("m1"), "m1");
  leaving.replaced(0);
  assert.equal(presses("m10"), "m10");
  assert.deepEqual([leaving.gone(), leaving.gone()], [0, 3]);
});

test("what cannot be written down is in the box again", () => {
  const leaving = new PendingTexts<{ raw: string }>();
  leaving.add({ raw: "one" });
  leaving.replaced(0);
  leaving.add({ raw: "two" });
  assert.equal(leaving.stay(), "one\n");
  assert.equal(leaving.rest("one\ntwo"), "one\ntwo");
});

test("an emoji is found by what somebody does in it, and by its own name", async () => {
  await loadEmoji();
  const first = (text: string) => emojiStarting(text, 6)[0]?.emoji;
  assert.deepEqual(["smile", "fire", "think", "heart_h"].map(first), ["😊", "🔥", "🤔", "🫶"]);
});
