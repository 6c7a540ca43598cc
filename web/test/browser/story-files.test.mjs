// Files: chosen, pasted and dropped, sent over a line that breaks, seen on every device, and gone with their message.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { violations } from "./chromium.mjs";
import { chooses, file, picture, saves, sha256 } from "./files.mjs";
import { stories } from "./world.mjs";

const { world, story, joins } = stories({ REGISTRATION: "open", MAX_FILE_BYTES: String(8 << 20) }, { isWhole: true });

let both = null;
/** Ann on a desk and Ben on a phone, the same in all of these stories. */
const pair = () =>
  (both ??= (async () => {
    const stays = { after: () => undefined };
    const options = { permissions: ["microphone"] };
    const [ann, ben] = await Promise.all([joins(stays, "Ann", options), joins(stays, "Ben", { width: 390, height: 844 })]);
    await ann.befriends(ben);
    await ann.opens("Ben");
    return [ann, ben];
  })());

const withFile = (person, name) => person.log.getByRole("article").filter({ hasText: name });
/** The picture in the log, as its colours at its top and at its foot. */
const seesPicture = async (person, alt) => {
  const image = person.log.getByRole("img", { name: alt, exact: true });
  await image.waitFor();
  return image.evaluate(async (element) => {
    await element.decode();
    const { naturalWidth: width, naturalHeight: height } = element;
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d");
    context.drawImage(element, 0, 0);
    const at = (y) => [...context.getImageData(width / 2, y, 1, 1).data].map((value) => Math.round(value / 200)).slice(0, 3).join("");
    return { width, height, colors: [at(10), at(height - 10)] };
  });
};

story("pictures are seen upright, without place and camera, and large; a document arrives with its caption, and is found by its name", async (t) => {
  const [ann, ben] = await pair();
  // What no browser draws goes as it is.
  await chooses(ann, await picture(ann.tab), file("garden in the morning.heic", Buffer.from("\0\0\0\x18ftypheic", "latin1"), "image/heic"), file("other.zip", Buffer.alloc(9), "application/zip"));
  await ann.tab.getByText("Place and camera are removed, but not from garden in the morning.heic").waitFor();
  // What adds more stands beside them, however much is said.
  const [top, more] = await Promise.all([ann.tab.locator(".chosen"), ann.button("Add more")].map((one) => one.first().boundingBox()));
  assert.ok(Math.abs(top.y - more.y) < 4, JSON.stringify([top, more]));
  await ann.button("Remove other.zip").click();
  await ann.button("Remove garden in the morning.heic").click();
  await ann.tab.getByText("Place and camera are removed").waitFor();
  await ann.box.fill("The hall");
  await ann.box.press("Enter");
  const upright = { width: 320, height: 640, colors: ["100", "001"] };
  assert.deepEqual(await seesPicture(ben, "The hall"), upright);
  assert.deepEqual(await seesPicture(ann, "The hall"), upright);
  await ann.knows("The hall", "Delivered", "Seen");
  assert.equal(await ann.tab.locator(".chosen").count(), 0);

  // A page that was wide enough for it before it came does not move.
  const box = await ben.log.locator(".picture").boundingBox();
  assert.ok(box.width > 100 && Math.abs(box.height / box.width - 2) < 0.05, JSON.stringify(box));
  await ben.log.getByRole("button", { name: "The hall" }).click();
  const large = ben.tab.getByRole("dialog", { name: "The hall" });
  await large.getByRole("img", { name: "The hall" }).waitFor();
  assert.deepEqual(await violations(ben.tab), []);
  const download = ben.tab.waitForEvent("download");
  await large.getByRole("button", { name: "Save hall.jpg" }).click();
  const bytes = readFileSync(await (await download).path());
  assert.deepEqual([bytes.subarray(0, 3).toString("hex"), bytes.includes("SecretCamera"), bytes.includes("Exif")], ["ffd8ff", false, false]);
  await ben.tab.keyboard.press("Escape");
  await large.waitFor({ state: "detached" });

  const plan = randomBytes(300_000);
  await chooses(ann, file("Seating plan, second draft.pdf", plan, "application/pdf"));
  await ann.box.fill("Who sits where");
  await ann.box.press("Enter");
  await ben.sees("Who sits where");
  assert.equal(sha256(await saves(ben, "Seating plan, second draft.pdf")), sha256(plan));
  await ben.tab.keyboard.press("Control+f");
  await ben.tab.getByRole("textbox", { name: "Search here" }).fill("seating");
  await ben.tab.locator(".hit").getByText("Who sits where").waitFor();
  await ben.tab.keyboard.press("Control+f");

  const again = ben.tab.waitForEvent("download");
  await ben.does("Who sits where", "Save");
  assert.equal((await again).suggestedFilename(), "Seating plan, second draft.pdf");

  // A reply names the file, and a second device has all of it.
  await chooses(ann, file("notes.txt", Buffer.from("Notes"), "text/plain"));
  await ann.button("Send").click();
  await withFile(ben, "notes.txt").waitFor();
  await withFile(ann, "notes.txt").getByRole("button", { name: "More", exact: true }).click();
  await ann.tab.getByRole("menuitem", { name: "Reply" }).click();
  await ann.says("Read these first");
  await ben.article("Read these first").getByRole("button", { name: /notes\.txt/ }).waitFor();
  const there = await ann.onAnotherDevice({ locale: "en-GB" });
  t.after(() => there.context.close());
  await there.opens("Ben");
  assert.deepEqual(await seesPicture(there, "The hall"), upright);
  assert.equal((await saves(there, "notes.txt")).toString(), "Notes");
  await ann.button("It was me").click();

  // What is deleted is gone from the server: who had not fetched it cannot.
  await ann.does("Who sits where", "Delete");
  await ann.confirms("Delete");
  await ben.log.getByText("Ann deleted this message").waitFor();
  await there.log.getByText("You deleted this message").waitFor();
  assert.equal(await there.log.getByRole("button", { name: /^Save Seating plan/ }).count(), 0);
});

story("an upload resumes after a cut connection, a killed server and a reload; later messages wait", async () => {
  const [ann, ben] = await pair();
  const film = randomBytes(5_000_000);
  /** Cuts the connection after a number of requests with records. */
  const cutAfter = (n) =>
    new Promise((cut) => {
      ann.context.on("request", function count(request) {
        if (!request.headers()["ozeki-request"] || (n -= 1) > 0) return;
        ann.context.off("request", count);
        world.proxy.cut();
        cut();
      });
    });
  /** As a browser says that it may be online again. */
  const hurry = () => Promise.all([ann, ben].map(({ tab }) => tab.evaluate(() => dispatchEvent(new Event("online")))));
  let isCut = cutAfter(2);
  await chooses(ann, file("film.bin", film));
  await ann.button("Send").click();
  await isCut;
  await ann.log.getByText(/^Waiting for the connection/).waitFor();
  await ann.says("Have a look at it");
  await ann.article("Have a look at it").getByText("Sending", { exact: true }).waitFor({ state: "attached" });
  await ann.tab.waitForFunction(() => navigator.serviceWorker.controller !== null);
  await ann.tab.reload();
  await ann.log.getByText(/^Waiting for the connection/).waitFor();
  await world.server.kill();
  isCut = cutAfter(2);
  await world.server.start();
  world.proxy.restore();
  await hurry();
  await isCut;
  await ann.log.getByText(/^Waiting for the connection/).waitFor();
  world.proxy.restore();
  await hurry();
  await ben.sees("Have a look at it");
  assert.equal(sha256(await saves(ben, "film.bin")), sha256(film));
  const texts = await ben.log.getByRole("article").allInnerTexts();
  assert.ok(texts.at(-2).includes("film.bin") && texts.at(-1).includes("Have a look at it"), texts.join("\n"));
});

story("a discarded file is not sent; one that is too large says so and can be removed; many pictures are sent at once", async () => {
  const [ann, ben] = await pair();
  world.proxy.cut();
  await ann.tab.getByText(/^You are offline|does not answer/).waitFor();
  await chooses(ann, file("wrong.zip", randomBytes(400_000)));
  await ann.button("Send").click();
  await withFile(ann, "wrong.zip").getByRole("button", { name: "Cancel sending" }).click();
  await withFile(ann, "wrong.zip").waitFor({ state: "detached" });
  world.proxy.restore();

  await ann.tab.locator("input[type=file][multiple]").setInputFiles(file("large.iso", Buffer.alloc(9 << 20)));
  await ann.tab.getByText("Larger than 8.39 MB, the limit of this server.").waitFor();
  await ann.button("Send").click();
  await ann.tab.getByText("Remove what cannot be sent first.").first().waitFor();
  await ann.button("Remove large.iso").click();

  await ann.tab.evaluate(() => {
    const { put } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.put = function (value, key) {
      if (!(value instanceof Uint8Array)) return put.call(this, value, key);
      IDBObjectStore.prototype.put = put;
      throw new DOMException("there is no room", "QuotaExceededError");
    };
  });
  await ann.tab.locator("input[type=file][multiple]").setInputFiles(file("unplaced.zip", randomBytes(1000)));
  await ann.tab.getByText("There is no room for it on this device.").waitFor();
  await ann.button("Remove unplaced.zip").click();

  const one = await picture(ann.tab);
  await chooses(ann, ...Array.from({ length: 32 }, (_, i) => ({ ...one, name: `row ${i}.jpg` })));
  assert.deepEqual(await violations(ann.tab), []);
  await ann.tab.locator("input[type=file][multiple]").setInputFiles({ ...one, name: "one more.jpg" });
  await ann.tab.getByText("Up to 32 files in one message.").first().waitFor();
  await ann.button("Remove row 3.jpg").click();
  await ann.tab.getByText("31 photos").waitFor();
  await ann.button("Send").click();
  await ben.log.getByRole("button", { name: /and 28 more$/ }).click();
  // Before these there may be others.
  const [at, all] = (await ben.tab.getByRole("dialog").getByText(/^\d+ of \d+$/).textContent()).split(" of ").map(Number);
  for (let i = 0; i < 3; i++) await ben.tab.keyboard.press("ArrowRight");
  await ben.tab.getByRole("dialog").getByText(`${at + 3} of ${all}`).waitFor();
  await ben.tab.getByRole("dialog").getByRole("img", { name: "row 6.jpg" }).waitFor();
  await ben.tab.keyboard.press("+");
  await ben.tab.keyboard.press("Escape");
  await ben.tab.getByRole("dialog").waitFor({ state: "detached" });
  await ann.row("Ben").getByText("31 photos").waitFor();
});

story("pasted and dropped files are chosen, and a voice note is recorded and played", async () => {
  const [ann, ben] = await pair();
  const gives = (kind, target) =>
    ann.tab.evaluate(
      ([event, selector]) => {
        const data = new DataTransfer();
        data.items.add(new File(["What was said"], `${event}.txt`, { type: "text/plain" }));
        const init = { bubbles: true, cancelable: true };
        const made = event === "paste" ? new ClipboardEvent("paste", { ...init, clipboardData: data }) : new DragEvent(event, { ...init, dataTransfer: data });
        document.querySelector(selector).dispatchEvent(made);
      },
      [kind, target],
    );
  await gives("paste", "textarea");
  await gives("dragenter", ".log");
  await ann.tab.locator(".dropping").waitFor();
  await gives("drop", ".log");
  await ann.tab.locator(".chosen.ready").nth(1).waitFor();
  assert.equal(await ann.tab.locator(".dropping").count(), 0);
  await ann.button("Send").click();
  await ben.log.getByRole("button", { name: "Save paste.txt" }).waitFor();
  await ben.log.getByRole("button", { name: "Save drop.txt" }).waitFor();

  await ann.button("Record a voice message").click();
  await ann.tab.getByRole("timer").getByText("0:01").waitFor();
  await ann.button("Send").click();
  await ann.box.waitFor();
  const note = ben.log.getByRole("article").last();
  await note.getByRole("slider", { name: "Position" }).waitFor();
  // What fails can be pressed again.
  const refusal = JSON.stringify({ status: "ERROR", errormessage: "busy", errorcode: "unavailable" });
  await ben.context.route("**/file/*", (route) => route.fulfill({ status: 503, headers: { "retry-after": "600" }, body: refusal }));
  await note.getByRole("button", { name: "Play: Voice message" }).click();
  await note.getByText("The server does not answer. Try again in a moment.").waitFor();
  await ben.context.unroute("**/file/*");
  await note.getByRole("button", { name: "Play: Voice message" }).click();
  await note.getByRole("button", { name: "Pause" }).waitFor();
  assert.deepEqual(await violations(ben.tab), []);
});

story("a recording is kept when the microphone goes away and when sending fails; without a microphone nothing is recorded", async () => {
  const [ann, ben] = await pair();
  await ann.tab.evaluate(() => {
    const { mediaDevices } = navigator;
    const ask = mediaDevices.getUserMedia.bind(mediaDevices);
    mediaDevices.getUserMedia = async (wanted) => (globalThis.stream = await ask(wanted));
    globalThis.MediaRecorder = class extends MediaRecorder {
      constructor(...of) {
        super(...of);
        globalThis.over = new Promise((resolve) => this.addEventListener("stop", resolve));
      }
    };
  });
  const notes = ben.log.getByRole("slider", { name: "Position" });
  const before = await notes.count();
  const records = async () => {
    await ann.button("Record a voice message").click();
    await ann.tab.getByRole("timer").getByText("0:01").waitFor();
  };
  await records();
  await ann.tab.evaluate(async () => {
    for (const track of globalThis.stream.getTracks()) track.stop();
    await globalThis.over;
  });
  await ann.button("Send").click();
  await notes.nth(before).waitFor();
  await ann.box.waitFor();

  await records();
  await ann.tab.evaluate(() => {
    const { arrayBuffer } = Blob.prototype;
    Blob.prototype.arrayBuffer = async function () {
      Blob.prototype.arrayBuffer = arrayBuffer;
      throw new Error("there is no room");
    };
  });
  await ann.button("Send").click();
  await ann.tab.getByText("Not sent").first().waitFor();
  await ann.button("Send").click();
  await notes.nth(before + 1).waitFor();
  await ann.box.waitFor();

  await ann.tab.evaluate(() => {
    globalThis.AudioContext = class {
      constructor() {
        throw new Error("there are too many");
      }
    };
  });
  await ann.button("Record a voice message").click();
  await ann.tab.getByText(/^The microphone cannot be used/).first().waitFor();
  assert.deepEqual(await ann.tab.evaluate(() => globalThis.stream.getTracks().map(({ readyState }) => readyState)), ["ended"]);
});

story("closing a page while a file is being prepared asks first; afterwards the file says that it has to be chosen again, and can be removed", async () => {
  const [ann, ben] = await pair();
  await ann.tab.evaluate(() => {
    Blob.prototype.arrayBuffer = () => {
      globalThis.isHanging = true;
      return new Promise(() => undefined);
    };
  });
  // Browsers ask only after an interaction with the page.
  await ann.box.click();
  await ann.tab.locator("input[type=file][multiple]").setInputFiles(file("film.mkv", randomBytes(1000)));
  await ann.tab.getByText("Preparing …").waitFor();
  await ann.tab.waitForFunction(() => globalThis.isHanging);
  // Another window does not take it for lost.
  const other = await ann.context.newPage();
  await other.goto(ann.tab.url());
  await other.getByRole("textbox", { name: "Message", exact: true }).waitFor();
  const asked = ann.tab.waitForEvent("dialog");
  const loaded = ann.tab.reload();
  const dialog = await asked;
  assert.equal(dialog.type(), "beforeunload");
  assert.equal(await other.locator(".chosen").count(), 0);
  await other.close();
  await dialog.accept();
  await loaded;
  const lost = ann.tab.locator(".chosen").filter({ hasText: "film.mkv" });
  await lost.getByText("It was not ready yet. Choose it again.").waitFor();
  // The name is not covered by the sentence, and nothing is counted that cannot be sent.
  const [name, sentence] = await Promise.all([lost.locator(".file-name"), lost.locator(".chosen-state")].map((one) => one.boundingBox()));
  assert.ok(name.y + name.height <= sentence.y);
  assert.equal(await ann.tab.getByText("0 bytes").count(), 0);
  assert.deepEqual(await violations(ann.tab), []);
  await ann.box.fill("Without the film");
  await ann.box.press("Enter");
  await ann.tab.getByText("Remove what cannot be sent first.").first().waitFor();
  await ann.button("Remove film.mkv").click();
  await ann.box.press("Enter");
  await ben.sees("Without the film");
  await ann.tab.reload();
  await ann.sees("Without the film");
  assert.equal(await ann.tab.locator(".chosen").count(), 0);
});

story("a large file that cannot be opened is not saved, and the page stays", async () => {
  const [ann] = await pair();
  await ann.tab.waitForFunction(() => navigator.serviceWorker.controller !== null);
  const size = 2 ** 27;
  // In place of the message of somebody who sent a file and a key that is none.
  const follows = (key) =>
    ann.tab.evaluate(
      async (download) => {
        // A name may end within a letter.
        download.name = `film${String.fromCharCode(0xd800)}`;
        const { port1, port2 } = new MessageChannel();
        globalThis.ended = new Promise((end) => {
          port1.onmessage = ({ data }) => {
            if ("address" in data) Object.assign(document.createElement("a"), { href: data.address }).click();
            else if ("ended" in data) end(data.ended);
          };
        });
        navigator.serviceWorker.controller.postMessage({ download }, [port2]);
      },
      { id: "00000000-0000-4000-8000-000000000001", size, records: Math.ceil(size / 262_128), key },
    );
  const page = ann.tab.url();
  for (const key of ["AA==", "no base64"]) {
    const ended = ann.tab.waitForEvent("requestfinished", (request) => request.isNavigationRequest());
    const failed = ann.tab.waitForEvent("requestfailed", (request) => request.isNavigationRequest());
    await follows(key);
    await Promise.any([ended, failed]);
    assert.deepEqual(await ann.tab.evaluate(() => globalThis.ended), { kind: "fileDamaged" });
    assert.equal(ann.tab.url(), page);
    assert.ok(await ann.box.isVisible());
  }
  // With a key the browser begins, and the server has no such file.
  const download = ann.tab.waitForEvent("download");
  await follows(Buffer.alloc(32).toString("base64"));
  assert.notEqual(await (await download).failure(), null);
  assert.deepEqual(await ann.tab.evaluate(() => globalThis.ended), { kind: "fileGone" });
  assert.ok(await ann.box.isVisible());
});
