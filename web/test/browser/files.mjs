// Files for stories: made, chosen and saved.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

/** What two files are compared by. */
export const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
/** A file, as it is handed to the browser. */
export const file = (name, buffer, mimeType = "application/octet-stream") => ({ name, mimeType, buffer });

/** A picture of two halves, red beside blue, that stands on its side: what turns it upright is in its EXIF, beside a place. */
export async function picture(tab, name = "hall.jpg") {
  const base64 = await tab.evaluate(async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 320 });
    const context = canvas.getContext("2d");
    context.fillStyle = "#c00";
    context.fillRect(0, 0, 320, 320);
    context.fillStyle = "#00c";
    context.fillRect(320, 0, 320, 320);
    return canvas.toDataURL("image/jpeg", 0.9).split(",")[1];
  });
  const plain = Buffer.from(base64, "base64");
  // Orientation 6: to be turned by a quarter, to the right. Then the camera's name.
  const entry = (tag, type, count, value) => {
    const bytes = Buffer.alloc(12);
    bytes.writeUInt16BE(tag, 0);
    bytes.writeUInt16BE(type, 2);
    bytes.writeUInt32BE(count, 4);
    if (type === 3) bytes.writeUInt16BE(value, 8);
    else bytes.writeUInt32BE(value, 8);
    return bytes;
  };
  const count = Buffer.from([0, 2]);
  const body = Buffer.concat([Buffer.from("MM\0*\0\0\0\x08", "latin1"), count, entry(0x10f, 2, 14, 38), entry(0x112, 3, 1, 6), Buffer.alloc(4), Buffer.from("SecretCamera 1\0", "latin1")]);
  const exif = Buffer.concat([Buffer.from("Exif\0\0", "latin1"), body]);
  const head = Buffer.from([0xff, 0xe1, (exif.length + 2) >> 8, (exif.length + 2) & 255]);
  return file(name, Buffer.concat([plain.subarray(0, 2), head, exif, plain.subarray(2)]), "image/jpeg");
}

/** Chooses files by the button's own dialog. */
export async function chooses(person, ...files) {
  const chooser = person.tab.waitForEvent("filechooser");
  await person.button("Attach files").click();
  await (await chooser).setFiles(files);
  await person.tab.waitForFunction((n) => document.querySelectorAll(".chosen.ready").length === n, files.length);
}

/** Saves a file; returns its bytes. */
export async function saves(person, name) {
  const download = person.tab.waitForEvent("download");
  await person.log.getByRole("button", { name: `Save ${name}`, exact: true }).click();
  const saved = await download;
  assert.equal(saved.suggestedFilename(), name);
  return readFileSync(await saved.path());
}

/** A tone of so many seconds, as WAV. */
export function tone(seconds) {
  const rate = 8000;
  const data = Buffer.alloc(seconds * rate * 2);
  for (let i = 0; i < seconds * rate; i++) data.writeInt16LE(Math.round(8000 * Math.sin((i * 440 * 2 * Math.PI) / rate)), i * 2);
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + data.length, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  for (const [at, value] of [[20, 1], [22, 1], [32, 2], [34, 16]]) head.writeUInt16LE(value, at);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(rate * 2, 28);
  head.write("data", 36);
  head.writeUInt32LE(data.length, 40);
  return Buffer.concat([head, data]);
}

/** A video as a browser records it: a second in red, one in green, one in blue, with noise that no codec makes small. */
export async function video(tab, { seconds, width, height, name = "rehearsal.webm" }) {
  const base64 = await tab.evaluate(
    async ([length, wide, high]) => {
      const canvas = Object.assign(document.createElement("canvas"), { width: wide, height: high });
      const context = canvas.getContext("2d");
      const noise = Object.assign(document.createElement("canvas"), { width: wide, height: high });
      const dots = noise.getContext("2d").createImageData(wide, high);
      for (let at = 0; at < dots.data.length; at += 65_536) crypto.getRandomValues(dots.data.subarray(at, at + 65_536));
      noise.getContext("2d").putImageData(dots, 0, 0);
      const recorder = new MediaRecorder(canvas.captureStream(20), { mimeType: "video/webm;codecs=vp8", videoBitsPerSecond: 20_000_000 });
      const parts = [];
      recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
      const over = new Promise((resolve) => recorder.addEventListener("stop", resolve));
      const draw = (second) => {
        context.globalAlpha = 1;
        context.fillStyle = ["#e00", "#0c0", "#00e"][second];
        context.fillRect(0, 0, wide, high);
        context.globalAlpha = 0.3;
        context.drawImage(noise, -Math.random() * 40, -Math.random() * 40, wide + 40, high + 40);
      };
      draw(0);
      recorder.start();
      const begun = performance.now();
      for (let at = 0; at < length; at = (performance.now() - begun) / 1000) {
        draw(Math.min(2, Math.floor(at)));
        await new Promise(requestAnimationFrame);
      }
      recorder.stop();
      await over;
      const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
      return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    },
    [seconds, width, height],
  );
  return file(name, Buffer.from(base64, "base64"), "video/webm");
}
