// Files as they are shown: what counts as a picture, what a wave says, and what of somebody else's message is believed.

import "./ui-globals.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileFields, readFile, shapeOf } from "../../core/model/file.ts";
import { readBody } from "../../core/model/body.ts";
import { endingOf, mayNamePlace, pictureType, playedType, saysPicture, thumbOf } from "../../ui/files/types.ts";
import { BARS, barsOf, condensed, writeWave } from "../../ui/files/wave.ts";

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

test("a picture is one by its first bytes, whatever it is called", () => {
  for (const [text, type] of [
    ["\x89PNG\r\n\x1a\n0000", "image/png"],
    ["\xff\xd8\xff\xe0", "image/jpeg"],
    ["GIF89a", "image/gif"],
    ["RIFF0000WEBPVP8 ", "image/webp"],
    ["\0\0\0\x1cftypavif", "image/avif"],
    ["<svg xmlns='http://www.w3.org/2000/svg'>", null],
    ["<html>", null],
    ["RIFF0000WAVE", null],
    ["", null],
  ] as const) assert.equal(pictureType(bytes(text)), type, text);
  assert.equal(thumbOf({ thumb: btoa("<svg onload=alert(1)>") }), null);
  assert.equal(thumbOf({ thumb: "no base64!" }), null);
  assert.equal(thumbOf({ thumb: btoa("\xff\xd8\xff\xe0 and so on, and so on") })?.slice(0, 22), "data:image/jpeg;base64");
  assert.deepEqual(["video/mp4", "text/html", "audio/", "video/mp4;x=\""].map(playedType), ["video/mp4", null, null, null]);
  assert.deepEqual(["a.pdf", "b.tar.gz", "none", ".profile", "long.notanending"].map(endingOf), ["PDF", "GZ", "", "", ""]);
});

test("what is sent as it is may name a place, if it is a picture of another type or a video", () => {
  for (const [name, type, may] of [
    ["IMG_1.HEIC", "image/heic", true],
    ["IMG_1.HEIC", "", true],
    ["scan.tif", "image/tiff", true],
    ["broken.jpg", "image/jpeg", true],
    ["film.mov", "video/quicktime", true],
    ["film.MOV", "", true],
    ["drawing.svg", "image/svg+xml", false],
    ["plan.pdf", "application/pdf", false],
    ["notes", "", false],
  ] as const) assert.equal(mayNamePlace({ name, type }), may, `${name} ${type}`);
  assert.deepEqual(["image/jpeg", "image/heic", "image/svg+xml", ""].map(saysPicture), [true, false, false, false]);
});

test("a wave has as many bars however long it was, and what is none is flat", () => {
  assert.equal(condensed([]).length, BARS);
  assert.deepEqual(condensed([0.5], 4), [0.5, 0.5, 0.5, 0.5]);
  assert.deepEqual(condensed([0.1, 0.9, 0.2, 0.3], 2), [0.9, 0.3]);
  const bars = condensed(Array.from({ length: 1000 }, (_, i) => (i % 100) / 100));
  assert.ok(barsOf(writeWave(bars)).every((level, i) => Math.abs(level - (bars[i] ?? -1)) < 1 / 255));
  assert.ok(barsOf("%%%").every((level) => level === 0));
});

test("of a file that somebody names, only what can be is taken", () => {
  const whole = { id: "00000000-0000-4000-8000-000000000001", name: "a/b\\c\u202e.txt", mime: "Image/PNG", size: 10, records: 1, key: "a".repeat(44), digest: "0".repeat(64) };
  const found = readFile(whole);
  assert.deepEqual([found?.name, found?.mime, found && shapeOf(found)], ["a b c .txt", "image/png", "picture"]);
  assert.deepEqual(found && readFile(fileFields(found)), found);
  const odd = readFile({ ...whole, w: -1, h: 1e9, ms: 1.5, thumb: "x".repeat(9_000), wave: 7 });
  assert.deepEqual([odd?.w, odd?.h, odd?.ms, odd?.thumb, odd?.wave], [null, null, null, "", ""]);
  for (const wrong of [{ id: "x" }, { size: -1 }, { records: 0 }, { records: 2 ** 40 }, { digest: "zz" }, { key: "" }, { key: "a".repeat(99) }]) {
    assert.equal(readFile({ ...whole, ...wrong }), null, JSON.stringify(wrong));
  }
  const body = (files: unknown): string => JSON.stringify({ v: 1, kind: "file", files });
  const read = readBody(body([whole])).content;
  assert.equal(read.kind === "file" && read.files.length, 1);
  for (const files of [[], [whole, { ...whole, id: "x" }], Array(33).fill(whole), "none"]) assert.throws(() => readBody(body(files)), { name: "MalformedBody" });
});
