// What people write becomes a tree of few kinds; addresses that are not safe stay text; nothing takes long.

import assert from "node:assert/strict";
import { test } from "node:test";
import { inline, isEmojiOnly, parse, plainText, realHost, safeHref } from "../../core/model/markdown.ts";

const text = (value: string) => ({ kind: "text", text: value });

test("marks make spans", () => {
  assert.deepEqual(inline("a **b** _c_ ~~d~~ `e*f*`"), [
    text("a "),
    { kind: "strong", inside: [text("b")] },
    text(" "),
    { kind: "emphasis", inside: [text("c")] },
    text(" "),
    { kind: "strike", inside: [text("d")] },
    text(" "),
    { kind: "code", text: "e*f*" },
  ]);
  assert.deepEqual(inline("**a *b* c**"), [
    { kind: "strong", inside: [text("a "), { kind: "emphasis", inside: [text("b")] }, text(" c")] },
  ]);
});

test("what is no mark stays as it is", () => {
  for (const one of ["2 * 3 * 4", "snake_case_name", "a ** b", "5*", "\\", "x_y", "[a] (b)", "@nobody", "` open"]) {
    assert.deepEqual(inline(one), [text(one)], one);
  }
  assert.deepEqual(inline("\\*not\\*"), [text("*not*")]);
});

test("blocks", () => {
  assert.deepEqual(parse("one\ntwo\n\nthree"), [
    { kind: "paragraph", inside: [text("one\ntwo")] },
    { kind: "paragraph", inside: [text("three")] },
  ]);
  assert.deepEqual(parse("```\n**a**\n```\nb"), [
    { kind: "code", text: "**a**" },
    { kind: "paragraph", inside: [text("b")] },
  ]);
  assert.deepEqual(parse("- a\n- b"), [{ kind: "list", start: null, items: [[text("a")], [text("b")]] }]);
  assert.deepEqual(parse("3. a\n4. b"), [{ kind: "list", start: 3, items: [[text("a")], [text("b")]] }]);
  assert.deepEqual(parse("> a\n> b"), [{ kind: "quote", inside: [{ kind: "paragraph", inside: [text("a\nb")] }] }]);
});

test("links open http, https and mailto only", () => {
  assert.deepEqual(inline("see https://a.example/x_y."), [
    text("see "),
    { kind: "link", href: "https://a.example/x_y", text: "https://a.example/x_y" },
    text("."),
  ]);
  assert.deepEqual(inline("[here](https://a.example)"), [{ kind: "link", href: "https://a.example/", text: "here" }]);
  for (const bad of ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "blob:https://a/1", "//a.example", "https://"]) {
    assert.equal(safeHref(bad), null, bad);
    assert.deepEqual(inline(`[x](${bad})`).some((node) => node.kind === "link" && node.href === bad), false, bad);
  }
});

test("a text that is another address than the link's has the real one beside it", () => {
  const evil = "https://evil.com/";
  for (const text of ["evil.com", "https://evil.com/path", "EVIL.com", "http://Evil.com.", "evil.com?bank.com", "click here", "Look!"]) {
    assert.equal(realHost(evil, text), null, text);
  }
  const lies = [
    "https://bank.com/?evil.com",
    "bank.com/evil.com",
    "evil.com.bank.com",
    "bank.com@evil.com",
    "https://bank.com@evil.com/",
    "evil.com:pw@bank.com",
    "bank.com\\evil.com",
    "bank.com evil.com",
    "bank\u200b.com",
    "bank\u3002com",
    "b\u0430nk.com",
    "\u0431\u0430\u043d\u043a.\u0440\u0444",
    "Bank.COM.",
  ];
  for (const text of lies) assert.equal(realHost(evil, text), "evil.com", text);
  assert.equal(realHost("https://bank.com@evil.com/", "https://bank.com@evil.com/"), "evil.com");
  // Letters of another script: what the browser makes of them is said.
  assert.equal(realHost("https://xn--pple-43d.com/", "\u0430pple.com"), "xn--pple-43d.com");
  assert.equal(realHost("https://xn--pple-43d.com/", "xn--pple-43d.com"), null);
  assert.equal(realHost("https://evil.com:8080/", "evil.com"), "evil.com:8080");
  assert.equal(realHost("mailto:evil@evil.com", "ann@bank.com"), "evil@evil.com");
  assert.equal(realHost("mailto:ann@bank.com", "Ann@bank.com"), null);
});

test("mentions are of those who were named, the longest name first", () => {
  const names = new Map([["Ann", "1"], ["Ann Keller", "2"]]);
  assert.deepEqual(inline("@Ann Keller, @Ann and a@Ann and @Anna", names), [
    { kind: "mention", user: "2", name: "Ann Keller" },
    text(", "),
    { kind: "mention", user: "1", name: "Ann" },
    text(" and a@Ann and @Anna"),
  ]);
});

test("one line without marks", () => {
  assert.equal(plainText("**a**\n\n- b\n- `c`\n> d"), "a b c d");
});

test("emoji alone are one to three", () => {
  for (const one of ["🙈", "👨‍👩‍👧 ❤️", "🇭🇺🇩🇪🇫🇷"]) assert.ok(isEmojiOnly(one), one);
  for (const one of ["", "a", "🙈🙈🙈🙈", "1", "🙈!"]) assert.ok(!isEmojiOnly(one), one);
});

test("hostile input is parsed, too", { timeout: 20_000 }, () => {
  for (const unit of ["**a ", "*", "[", "`", "> ", "_a*b~~", "@", "https://"]) {
    const nodes = parse(unit.repeat(20_000));
    assert.ok(nodes.length > 0, unit);
  }
});
