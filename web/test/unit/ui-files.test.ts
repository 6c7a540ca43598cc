// Files as they are shown: what counts as a picture, what a wave says, and what of somebody else's message is believed.

import "./ui-globals.ts";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileFields, readFile, shapeOf } from "../../core/model/file.ts";
import { readBody } from "../../core/model/body.ts";
import { animated } from "../../ui/files/animated.ts";
import { isAvifSequence, isHeic, withoutMetadata } from "../../ui/files/iso.ts";
import { endingOf, mayNamePlace, pictureType, playableType, saysPicture, saysShown, thumbOf } from "../../ui/files/types.ts";
import { BARS, barsOf, condensed, writeWave } from "../../ui/files/wave.ts";

const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

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
  assert.deepEqual(["a.pdf", "b.tar.gz", "none", ".profile", "long.notanending"].map(endingOf), ["PDF", "GZ", "", "", ""]);
});

test("sound and video are what they are by their first bytes, whatever they are called", () => {
  const ebml = (kind: string): string => `\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82\x84${kind}\x42\x87\x81\x04`;
  const ogg = (codec: string): string => `OggS\0\x02${"\0".repeat(20)}\x01\x13${codec}`;
  for (const [text, video, sound] of [
    ["\0\0\0\x20ftypisom\0\0\x02\0", "video/mp4", "audio/mp4"],
    ["\0\0\0\x14ftypqt  ", "video/quicktime", "audio/mp4"],
    ["\0\0\0\x1cftypM4A ", "audio/mp4", "audio/mp4"],
    ["\0\0\0\x1cftypavif", null, null],
    ["\0\0\0\x18ftypheic", null, null],
    [ebml("webm"), "video/webm", "audio/webm"],
    [ebml("matroska"), "video/x-matroska", "audio/x-matroska"],
    [ebml("other"), null, null],
    [ogg("OpusHead"), "audio/ogg", "audio/ogg"],
    [ogg("\x80theora"), "video/ogg", "video/ogg"],
    ["RIFF0000WAVEfmt ", "audio/wav", "audio/wav"],
    ["RIFF0000WEBPVP8 ", null, null],
    ["fLaC\0\0\0\x22", "audio/flac", "audio/flac"],
    ["ID3\x03\0", "audio/mpeg", "audio/mpeg"],
    ["\xff\xfb\x90\x64", "audio/mpeg", "audio/mpeg"],
    ["\xff\xf1\x50\x80", "audio/aac", "audio/aac"],
    // No frame has these fields; a text in UTF-16, and a picture.
    ["\xff\xfb\xf0\x64", null, null],
    ["\xff\xfea\0", null, null],
    ["\xff\xd8\xff\xe0", null, null],
    ["<html>", null, null],
    ["", null, null],
  ] as const) assert.deepEqual([playableType(bytes(text), false), playableType(bytes(text), true)], [video, sound], JSON.stringify(text));
  assert.deepEqual(["image/heic", "audio/midi", "video/mp4", "application/pdf", ""].map(saysShown), [true, true, true, false, false]);
});

test("an animated picture stays animated, without the metadata of cameras and programs", async () => {
  const size = (n: number, isLittle: boolean): string => {
    const four = [24, 16, 8, 0].map((shift) => String.fromCharCode((n >> shift) & 255));
    return (isLittle ? four.reverse() : four).join("");
  };
  const png = (name: string, data = ""): string => `${size(data.length, false)}${name}${data}0crc`;
  const webp = (name: string, data: string): string => `${name}${size(data.length, true)}${data}${data.length % 2 ? "\0" : ""}`;
  const riff = (...parts: string[]): string => `RIFF${size(4 + parts.join("").length, true)}WEBP${parts.join("")}`;
  const head = (flags: string): string => webp("VP8X", `${flags}000000000`);
  const gif = (...parts: string[]): string => `GIF89a\x01\0\x01\0\x80\0\0abcdef${parts.join("")};`;
  const repeats = "!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0";
  const image = "!\xf9\x04\0\0\0\0\0,\0\0\0\0\x01\0\x01\0\x80abcdef\x02\x02!;\0";
  const start = "\x89PNG\r\n\x1a\n";
  for (const [type, before, after] of [
    ["image/gif", gif(repeats, "!\xff\x0bXMP DataXMP\x06secret\0", image, "!\xfe\x06secret\0", image), gif(repeats, image, image)],
    ["image/gif", `${gif(image)}secret`, gif(image)],
    ["image/gif", gif(image).slice(0, -1), null],
    ["image/png", start + png("IHDR") + png("acTL", "8") + png("eXIf", "secret") + png("tEXt", "secret") + png("IDAT", "1") + png("fdAT", "2") + png("IEND"), start + png("IHDR") + png("acTL", "8") + png("IDAT", "1") + png("fdAT", "2") + png("IEND")],
    ["image/png", start + png("IHDR") + png("IDAT", "1") + png("IEND"), null],
    ["image/webp", riff(head("\x0e"), webp("ANIM", "123456"), webp("ANMF", "odd"), webp("EXIF", "secret"), webp("XMP ", "secret")), riff(head("\x02"), webp("ANIM", "123456"), webp("ANMF", "odd"))],
    ["image/webp", riff(head("\x0c"), webp("VP8 ", "1"), webp("EXIF", "secret")), null],
    ["image/jpeg", "\xff\xd8\xff", null],
  ] as const) {
    const found = await animated(new Blob([bytes(before)]), type);
    assert.equal(found && Buffer.from(await found.arrayBuffer()).toString("latin1"), after, type);
  }
});

// Pictures as libavif and libheif write them (by Pillow), with a camera and a place in their EXIF and in their XMP.
const fixture = (name: string): Uint8Array<ArrayBuffer> => new Uint8Array(readFileSync(join(process.cwd(), "test/fixtures", name)));
const SECRETS = ["Exif", "SecretCamera", "SecretPlace", "xmpmeta"];
const secretsIn = (found: Uint8Array): string[] => SECRETS.filter((secret) => Buffer.from(found).includes(secret));
const cleared = async (found: Uint8Array<ArrayBuffer>): Promise<Uint8Array | null> => {
  const bare = await withoutMetadata(new Blob([found]));
  return bare && new Uint8Array(await bare.arrayBuffer());
};

test("AVIF and HEIC keep their pictures and their length, without the metadata of cameras and programs", async () => {
  for (const [name, pictures] of [["clear.avif", 2], ["moves.avif", 1], ["phone.heic", 1]] as const) {
    const before = fixture(name);
    assert.deepEqual(secretsIn(before), SECRETS, name);
    const after = await cleared(before);
    assert.ok(after, name);
    assert.deepEqual([after.length, secretsIn(after)], [before.length, []], name);
    // The items that are pictures are named as before, and nothing else is.
    const items = Buffer.from(after).toString("latin1").match(/infe.{8}(?:av01|hvc1|grid|free)/gs) ?? [];
    assert.deepEqual([items.filter((item) => !item.endsWith("free")).length, items.filter((item) => item.endsWith("free")).length], [pictures, 2], name);
  }
});

test("an animated AVIF stays animated, and one that is cut off anywhere is refused or has no metadata", async () => {
  assert.equal(await animated(new Blob([fixture("clear.avif")]), "image/avif"), null);
  assert.ok((await animated(new Blob([fixture("moves.avif")]), "image/avif"))?.size);
  for (const name of ["clear.avif", "moves.avif", "phone.heic"]) {
    const whole = fixture(name);
    for (let length = 0; length < whole.length; length += 1) {
      const found = await cleared(whole.slice(0, length));
      assert.deepEqual(found && secretsIn(found), found && [], `${name} of ${length}`);
    }
    // A byte that is wrong is no bug of this code.
    for (let at = 0; at < whole.length; at += 1) {
      const wrong = whole.slice();
      wrong[at] = (wrong[at] ?? 0) ^ 0xff;
      await cleared(wrong);
    }
  }
});

/** A picture of this family, made of boxes: its content first, so that its place is known. */
const number = (n: number, size: number): string => String.fromCharCode(...Array.from({ length: size }, (_, i) => Math.floor(n / 256 ** (size - 1 - i)) % 256));
const box = (name: string, ...parts: string[]): string => `${number(8 + parts.join("").length, 4)}${name}${parts.join("")}`;
const START = box("ftyp", "avif\0\0\0\0avif") + box("mdat", `PICTURE!SECRETS!${"?".repeat(1000)}`);
const [PICTURE, SECRET] = [28, 36];
const items = (...all: (readonly [id: number, type: string])[]): string =>
  box("iinf", "\0\0\0\0", number(all.length, 2), ...all.map(([id, type]) => box("infe", "\x02\0\0\0", number(id, 2), "\0\0", type, "\0")));
const places = (...all: (readonly [id: number, ...at: number[]])[]): string =>
  box("iloc", "\0\0\0\0\x44\0", number(all.length, 2), ...all.map(([id, ...at]) => `${number(id, 2)}\0\0${number(at.length, 2)}${at.map((one) => number(one, 4) + number(8, 4)).join("")}`));
const picture = (...meta: string[]): string => START + box("meta", "\0\0\0\0", ...meta);
const FIRST = box("pitm", "\0\0\0\0\0\x01");
const [ONE, ITS_PLACE] = [items([1, "av01"]), places([1, PICTURE])];

test("nothing beside the items of a picture, and no item that is none, keeps what it says", async () => {
  for (const [what, meta] of [
    ...["xml ", "bxml", "uuid", "udta", "free"].map((name) => [name, [FIRST, ONE, ITS_PLACE, box(name, "SECRETS!")]] as const),
    ["properties", [FIRST, ONE, ITS_PLACE, box("iprp", box("ipco", box("itai", "SECRETS!")), box("uuid", "SECRETS!"))]],
    ["an item that is not described", [FIRST, ONE, places([1, PICTURE], [2, SECRET])]],
    ["a JPEG, which has metadata of its own", [FIRST, items([1, "av01"], [2, "jpeg"]), places([1, PICTURE], [2, SECRET])]],
  ] as const) {
    // What lies at the place of the secret is somebody's only where an item says so.
    const before = meta.includes(ITS_PLACE) ? picture(...meta).replace("PICTURE!SECRETS!", "PICTURE!????????") : picture(...meta);
    const after = await cleared(bytes(before));
    assert.ok(after, what);
    assert.equal(after.length, before.length, what);
    const text = Buffer.from(after).toString("latin1");
    assert.deepEqual([text.includes("PICTURE!"), text.includes("SECRETS!")], [true, false], what);
  }
});

test("a picture that says one thing twice, or is built to keep its reader busy, is refused", async () => {
  const nested = (name: string): string => {
    let inner = "";
    for (let i = 0; i < 3; i++) inner = box(name, inner);
    return START + box("moov", inner);
  };
  for (const [what, file] of [
    ["two lists of items", picture(FIRST, ONE, items([2, "Exif"]), places([1, PICTURE], [2, SECRET]))],
    ["two lists of places", picture(FIRST, items([1, "av01"], [2, "Exif"]), ITS_PLACE, places([2, SECRET]))],
    ["an item twice", picture(FIRST, items([1, "av01"], [1, "Exif"]), places([1, PICTURE]))],
    ["nothing is left of it", picture(FIRST, items([1, "jpeg"]), ITS_PLACE)],
    ["parts of no size", picture(FIRST, ONE, box("iloc", "\0\0\0\0\0\0", number(1, 2), number(1, 2), "\0\0", number(65_535, 2)))],
    ["a place again and again", picture(FIRST, items([1, "av01"], [2, "Exif"]), places([1, PICTURE], [2, SECRET, SECRET]).replaceAll(number(8, 4), number(900, 4)))],
    ["tracks in tracks", nested("trak")],
    ["media in the whole", nested("mdia")],
  ] as const) assert.equal(await cleared(bytes(file)), null, what);
  assert.ok(await cleared(bytes(picture(FIRST, items([1, "av01"], [2, "Exif"]), places([1, PICTURE], [2, SECRET])))));
});

test("pictures of phones and moving ones are known by their brands, in whichever order they stand", () => {
  const brands = (...all: string[]): Uint8Array => bytes(`\0\0\0${String.fromCharCode(12 + 4 * all.length)}ftyp${all[0]}\0\0\0\0${all.slice(1).join("")}`);
  for (const [all, phone, moves] of [
    [["heic", "mif1", "heic"], true, false],
    [["mif1", "mif1", "heic"], true, false],
    [["avif", "mif1", "miaf"], false, false],
    [["avis", "avif", "msf1"], false, true],
    [["mif1", "avif", "heic"], false, false],
    [["isom", "mp42"], false, false],
  ] as const) assert.deepEqual([isHeic(brands(...all)), isAvifSequence(brands(...all))], [phone, moves], all.join());
  assert.equal(isHeic(bytes("\xff\xd8\xff\xe0heic")), false);
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
