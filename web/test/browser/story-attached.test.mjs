// Attachments: the lightbox by keyboard, a phone's camera, chosen files after a reload, and types by their bytes.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { chooses, file, picture, saves, sha256 } from "./files.mjs";
import { stories } from "./world.mjs";

const { story, joins, pair } = stories();

story("the lightbox is used by the keyboard alone, and the focus comes back", async (t) => {
  const [ann] = await pair(t);
  await chooses(ann, await picture(ann.tab, "first.jpg"), await picture(ann.tab, "second.jpg"));
  await ann.says("Two of the hall");
  await ann.knows("Two of the hall", "Sent", "Delivered", "Seen");
  const first = ann.log.locator(".picture button").first();
  await first.focus();
  await ann.tab.keyboard.press("Enter");
  const box = ann.tab.getByRole("dialog", { name: "Two of the hall" });
  await box.getByText("1 of 2").waitFor();
  await box.getByRole("img").waitFor();
  const size = () => box.locator(".large").evaluate((element) => element.style.getPropertyValue("--size"));
  const isSize = (wanted) => ann.tab.waitForFunction((size) => document.querySelector(".large").style.getPropertyValue("--size") === size, wanted);
  assert.equal(await size(), "1");
  await ann.tab.keyboard.press("+");
  await isSize("1.5");
  await ann.tab.keyboard.press("+");
  await isSize("2");
  await ann.tab.keyboard.press("-");
  await isSize("1.5");
  await ann.tab.keyboard.press("0");
  await isSize("1");
  // The next one begins in its own size, and there is none after the last.
  await ann.tab.keyboard.press("+");
  await ann.tab.keyboard.press("ArrowRight");
  await box.getByText("2 of 2").waitFor();
  await isSize("1");
  await ann.tab.keyboard.press("ArrowRight");
  await ann.tab.keyboard.press("ArrowLeft");
  await box.getByText("1 of 2").waitFor();
  // The focus stays inside.
  for (let i = 0; i < 8; i++) {
    await ann.tab.keyboard.press("Tab");
    assert.ok(await ann.tab.evaluate(() => document.activeElement === document.body || document.activeElement.closest("dialog") !== null));
  }
  await ann.tab.keyboard.press("Escape");
  await box.waitFor({ state: "detached" });
  assert.ok(await first.evaluate((element) => element === document.activeElement));
});

story("a phone's camera takes a picture that is sent", async (t) => {
  const ann = await joins(t, "Ann");
  const ben = await joins(t, "Ben", { width: 390, height: 844, hasTouch: true, isMobile: true });
  await ann.befriends(ben);
  await ann.opens("Ben");
  // On a desk there is none to be held up.
  assert.equal(await ann.button("Take a picture").isVisible(), false);
  const asked = ben.tab.waitForEvent("filechooser");
  await ben.button("Take a picture").tap();
  const chooser = await asked;
  assert.equal(chooser.isMultiple(), false);
  const input = chooser.element();
  assert.deepEqual([await input.getAttribute("capture"), await input.getAttribute("accept")], ["environment", "image/*"]);
  await chooser.setFiles(await picture(ben.tab, "image.jpg"));
  await ben.tab.locator(".chosen.ready").waitFor();
  await ben.tab.getByText("Place and camera are removed").waitFor();
  assert.ok(await ben.tab.evaluate(() => document.documentElement.scrollWidth <= 390));
  await ben.box.fill("Taken just now");
  await ben.button("Send").tap();
  await ann.log.getByRole("img", { name: "Taken just now" }).waitFor();
});

story("what was chosen survives a reload, as the draft does, until it is sent or taken out", async (t) => {
  const [ann, ben] = await pair(t);
  const plan = randomBytes(400_000);
  await ann.box.fill("With these");
  await chooses(ann, await picture(ann.tab, "hall.jpg"), file("plan.pdf", plan, "application/pdf"), file("wrong.zip", randomBytes(1000), "application/zip"));
  const chosen = (...names) =>
    ann.tab.waitForFunction(
      (wanted) => [...document.querySelectorAll(".chosen.ready .chosen-out")].map((one) => one.getAttribute("aria-label")).join() === wanted.map((name) => `Remove ${name}`).join(),
      names,
    );
  await ann.tab.waitForFunction(() => document.querySelector("textarea").value === "With these");
  await ann.tab.reload();
  await chosen("hall.jpg", "plan.pdf", "wrong.zip");
  // The picture is seen as it will be sent; that it could be sent as it was is over.
  await ann.tab.locator(".chosen img").evaluate((image) => image.decode());
  await ann.tab.getByText("Place and camera are removed").waitFor();
  assert.equal(await ann.button("Send originals").count(), 0);
  await ann.button("Remove wrong.zip").click();
  await chosen("hall.jpg", "plan.pdf");
  await ann.hasStored();
  await ann.tab.reload();
  await chosen("hall.jpg", "plan.pdf");
  await ann.tab.waitForFunction(() => document.querySelector("textarea").value === "With these");

  // Another window has the same, and sends it.
  const other = await ann.context.newPage();
  await other.goto(ann.tab.url());
  await other.locator(".chosen.ready").nth(1).waitFor();
  await other.getByRole("button", { name: "Send", exact: true }).click();
  await ben.log.getByRole("img", { name: "With these" }).waitFor();
  assert.equal(sha256(await saves(ben, "plan.pdf")), sha256(plan));
  await ann.log.getByRole("img", { name: "With these" }).waitFor();
  await other.close();
  // Here they are still above the box: what was to go with a text is not left out without a word.
  await ann.box.fill("Only this");
  await ann.button("Send").click();
  await ann.tab.getByText("This file is no longer on this device. Choose it again.").first().waitFor();
  assert.equal(await ann.tab.locator(".chosen").count(), 0);
  await ann.button("Send").click();
  await ben.sees("Only this");
  assert.equal(await ben.log.getByRole("img", { name: "With these" }).count(), 1);
  await ann.tab.reload();
  await ann.sees("Only this");
  assert.equal(await ann.tab.locator(".chosen").count(), 0);
});

/** Opens a picture of the log, and saves it from there. */
async function savesPicture(person, name) {
  const download = person.tab.waitForEvent("download");
  await person.button(`Save ${name}`).click();
  return readFileSync(await (await download).path());
}

story("originals are sent byte for byte, also after a reload, with what is chosen later; the next message has none", async (t) => {
  const [ann, ben] = await pair(t);
  const [first, second, third] = await Promise.all(["first.jpg", "second.jpg", "third.jpg"].map((name) => picture(ann.tab, name)));
  const ready = (n) => ann.tab.waitForFunction((count) => document.querySelectorAll(".chosen.ready").length === count, n);
  await chooses(ann, first);
  await ann.tab.getByText("Place and camera are removed").waitFor();
  await ann.button("Send originals").click();
  await ann.tab.getByText("Place and camera stay in them").waitFor();
  await ready(1);
  // Once more, and back.
  await ann.button("Remove place and camera").click();
  await ann.tab.getByText("Place and camera are removed").waitFor();
  await ready(1);
  await ann.button("Send originals").click();
  await ready(1);
  await ann.tab.locator("input[type=file][multiple]").setInputFiles(second);
  await ready(2);
  await ann.tab.reload();
  await ready(2);
  await ann.tab.getByText("Place and camera stay in them").waitFor();
  await ann.box.fill("As they are");
  await ann.button("Send").click();
  await ann.knows("As they are", "Sent", "Delivered", "Seen");

  await ben.log.locator(".picture button").first().click();
  await ben.tab.getByRole("dialog").getByText("1 of 2").waitFor();
  assert.equal(sha256(await savesPicture(ben, "first.jpg")), sha256(first.buffer));
  await ben.tab.keyboard.press("ArrowRight");
  assert.equal(sha256(await savesPicture(ben, "second.jpg")), sha256(second.buffer));
  await ben.tab.keyboard.press("Escape");
  await chooses(ann, third);
  await ann.tab.getByText("Place and camera are removed").waitFor();
});

story("a transparent picture stays transparent, and an animated one moves, without place and camera", async (t) => {
  const [ann, ben] = await pair(t);
  const fixture = (name, type) => file(name, readFileSync(new URL(`../fixtures/${name}`, import.meta.url)), type);
  const secrets = ["Exif", "SecretCamera", "SecretPlace"];
  const clear = fixture("clear.avif", "image/avif");
  const moves = fixture("moves.avif", "image/avif");
  const phone = fixture("phone.heic", "image/heic");
  for (const { name, buffer } of [clear, moves, phone]) for (const secret of secrets) assert.ok(buffer.includes(secret), `${name}: ${secret}`);
  await chooses(ann, clear, moves, phone);
  await ann.tab.getByText("Place and camera are removed").waitFor();
  await ann.box.fill("Three of a kind");
  await ann.button("Send").click();

  await ben.log.locator(".picture img:not(.thumb)").nth(1).waitFor();
  await ben.log.locator(".picture button").first().click();
  const large = ben.tab.getByRole("dialog", { name: "Three of a kind" });
  /** The transparency of the picture that is shown large, in its corner and in its middle. */
  const alphas = () =>
    large.locator(".large img:not(.thumb)").evaluate(async (image) => {
      await image.decode();
      const { naturalWidth: width, naturalHeight: height } = image;
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      const context = canvas.getContext("2d");
      context.drawImage(image, 0, 0);
      const at = (x, y) => Math.round(context.getImageData(x, y, 1, 1).data[3] / 255);
      return [at(0, 0), at(width / 2, height / 2)];
    });
  assert.deepEqual(await alphas(), [0, 1]);
  const sent = [await savesPicture(ben, "clear.webp")];
  assert.equal(sent[0].toString("latin1", 8, 12), "WEBP");
  await ben.tab.keyboard.press("ArrowRight");
  await large.getByText("2 of 2").waitFor();
  sent.push(await savesPicture(ben, "moves.avif"));
  const frames = await ben.tab.evaluate(async (bytes) => {
    const decoder = new ImageDecoder({ data: Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0)), type: "image/avif" });
    await decoder.completed;
    await decoder.decode({ frameIndex: 1 });
    return decoder.tracks.selectedTrack.frameCount;
  }, sent[1].toString("base64"));
  assert.equal(frames, 2);
  await ben.tab.keyboard.press("Escape");
  sent.push(await saves(ben, "phone.heic"));
  assert.equal(sent[2].length, phone.buffer.length);
  for (const [i, bytes] of sent.entries()) for (const secret of secrets) assert.ok(!bytes.includes(secret), `${i}: ${secret}`);
});

story("what is played is what its bytes are, whatever it is called", async (t) => {
  const [ann, ben] = await pair(t);
  const holiday = await ann.tab.evaluateHandle(async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 48 });
    const context = canvas.getContext("2d");
    const recorder = new MediaRecorder(canvas.captureStream(25), { mimeType: "video/webm" });
    const parts = [];
    recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
    const over = new Promise((resolve) => recorder.addEventListener("stop", resolve));
    recorder.start();
    for (let i = 0; i < 20; i++) {
      context.fillStyle = i % 2 ? "#c00" : "#00c";
      context.fillRect(0, 0, 64, 48);
      await new Promise(requestAnimationFrame);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    recorder.stop();
    await over;
    return new File(parts, "holiday", { type: "" });
  });
  await ann.tab.evaluate((made) => {
    const data = new DataTransfer();
    data.items.add(made);
    document.querySelector("textarea").dispatchEvent(new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData: data }));
  }, holiday);
  await ann.tab.locator(".chosen.ready").waitFor();
  await ann.button("Send").click();
  await ben.log.getByRole("button", { name: "Play: holiday" }).click();
  await ben.tab.waitForFunction(() => (document.querySelector("[role=log] video")?.currentTime ?? 0) > 0);

  // What only says that it is a video goes as a document.
  await chooses(ann, file("film.mp4", Buffer.from("<html><script>alert(1)</script>"), "video/mp4"));
  await ann.button("Send").click();
  await ben.log.getByRole("button", { name: "Save film.mp4", exact: true }).waitFor();

  // A client that lies about it is not believed.
  await ann.tab.evaluate(() => {
    const { slice } = Blob.prototype;
    Blob.prototype.slice = function (from, to, ...rest) {
      if (to !== 64) return slice.call(this, from, to, ...rest);
      Blob.prototype.slice = slice;
      return new Blob(["\0\0\0\x20ftypisom\0\0\x02\0"]);
    };
  });
  await chooses(ann, file("lie.mp4", Buffer.from("<html><script>alert(1)</script>"), "video/mp4"));
  await ann.button("Send").click();
  await ben.log.getByRole("button", { name: "Play: lie.mp4" }).click();
  await ben.log.getByText("This file is not what it is said to be, so it is not shown. You can save it.").waitFor();
});
