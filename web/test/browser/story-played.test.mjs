// What is played: voice notes, sound and videos, by keyboard and by name, and from any place in them.

import assert from "node:assert/strict";
import { violations } from "./chromium.mjs";
import { chooses, file, saves, sha256, tone, video } from "./files.mjs";
import { stories } from "./world.mjs";

const { story, joins } = stories({ REGISTRATION: "open" }, { isWhole: true });

/** Ann on a desk, with a microphone, and Ben on a phone. */
async function pair(t) {
  const [ann, ben] = await Promise.all([joins(t, "Ann", { permissions: ["microphone"] }), joins(t, "Ben", { width: 390, height: 844 })]);
  await ann.befriends(ben);
  await ann.opens("Ben");
  return [ann, ben];
}

/** Waits until the only player in the log has these properties, and has passed this time, if one is given: seconds. */
const player = (person, properties, after = -1) =>
  person.tab.waitForFunction(
    ([all, passed]) => {
      const element = document.querySelector("[role=log] :is(audio, video)");
      return element !== null && element.currentTime > passed && Object.entries(all).every(([name, value]) => element[name] === value);
    },
    [properties, after],
  );
const isFocused = (locator) => locator.evaluate((element) => element === document.activeElement);

story("a voice note is played, paused, wound and sped up by the keyboard alone, and says where it is", async (t) => {
  const [ann, ben] = await pair(t);
  await ann.button("Record a voice message").click();
  await ann.tab.getByRole("timer").getByText("0:03").waitFor();
  await ann.button("Send").click();
  const note = ben.log.getByRole("article").last();
  const where = note.getByRole("slider", { name: "Position", exact: true });
  await where.waitFor();
  assert.match(await where.getAttribute("aria-valuetext"), /^0 of [34] seconds$/);
  // The microphone of the tests beeps: the wave has loud and silent bars, and there are as many however long it is.
  const bars = await note.locator(".wave i").evaluateAll((all) => all.map((bar) => Number(bar.style.getPropertyValue("--height"))));
  assert.equal(bars.length, 44);
  assert.ok(Math.max(...bars) > 2 * Math.min(...bars), String(bars));

  await note.getByRole("button", { name: "Play: Voice message" }).focus();
  await ben.tab.keyboard.press("Enter");
  await note.getByRole("button", { name: "Pause" }).waitFor();
  await player(ben, { paused: false }, 0);
  await ben.tab.waitForFunction(() => document.querySelectorAll("[role=log] .wave .over").length > 0);
  assert.ok(await isFocused(note.getByRole("button", { name: "Pause" })));
  await ben.tab.keyboard.press("Space");
  await player(ben, { paused: true });
  // From the button to the slider.
  await ben.tab.keyboard.press("Tab");
  assert.ok(await isFocused(where));
  await ben.tab.keyboard.press("End");
  await ben.tab.keyboard.press("ArrowLeft");
  await ben.tab.keyboard.press("ArrowLeft");
  await player(ben, {}, 1.5);
  const [at, all] = (await where.getAttribute("aria-valuetext")).match(/\d+/g).map(Number);
  assert.ok(at >= 2 && at <= all, `${at} of ${all}`);
  await ben.tab.keyboard.press("Home");
  await player(ben, { currentTime: 0 });
  await ben.tab.keyboard.press("Tab");
  await ben.tab.keyboard.press("Enter");
  await note.getByRole("button", { name: "Speed 1.5", exact: true }).waitFor();
  await player(ben, { playbackRate: 1.5 });
  // To its end, from where it begins again.
  await ben.tab.keyboard.press("Shift+Tab");
  await ben.tab.keyboard.press("Shift+Tab");
  await ben.tab.keyboard.press("Enter");
  await note.getByRole("button", { name: "Pause" }).waitFor();
  await note.getByRole("button", { name: "Play: Voice message" }).waitFor();
  await ben.tab.waitForFunction(() => document.querySelector("[role=log] [type=range]").value === "0");
  assert.deepEqual(await violations(ben.tab), []);
});

story("a recording is played in its row by the keyboard, under its name, and not again by itself", async (t) => {
  const [ann, ben] = await pair(t);
  const bytes = tone(3);
  await chooses(ann, file("Second verse.wav", bytes, "audio/wav"));
  await ann.button("Send").click();
  const play = ben.log.getByRole("button", { name: "Play: Second verse.wav", exact: true });
  await play.focus();
  await ben.tab.keyboard.press("Enter");
  await player(ben, { paused: false, duration: 3 }, 0);
  const sound = ben.log.getByLabel("Second verse.wav", { exact: true });
  // The button is gone: the focus is on what took its place, so that the next key is for it.
  assert.ok(await isFocused(sound));
  await ben.tab.keyboard.press("Space");
  await player(ben, { paused: true });
  assert.deepEqual(await violations(ben.tab), []);
  assert.equal(sha256(await saves(ben, "Second verse.wav")), sha256(bytes));

  await ben.button("Back").click();
  await ben.row("Ann").click();
  await play.waitFor();
  assert.equal(await sound.count(), 0);
});

story("a video of some megabytes is shown as a picture of it, played from any place, and leaves a text alone that is being written", async (t) => {
  const [ann, ben] = await pair(t);
  const film = await video(ann.tab, { seconds: 3, width: 640, height: 360 });
  assert.ok(film.buffer.length > 1 << 20, `${film.buffer.length} bytes`);
  await chooses(ann, film);
  await ann.tab.getByText("Place and camera stay in them").waitFor();
  await ann.box.fill("The rehearsal");
  await ann.button("Send").click();

  const play = ben.log.getByRole("button", { name: "Play: rehearsal.webm", exact: true });
  await play.waitFor();
  // The first picture of it stands in a place of its shape, which stays.
  const place = ben.log.locator(".film");
  const before = await place.boundingBox();
  assert.ok(Math.abs(before.width / before.height - 640 / 360) < 0.02, JSON.stringify(before));
  await place.locator("img.thumb").evaluate((image) => image.decode());
  await ben.box.fill("Wait for");
  await play.click();
  await ben.box.focus();
  await player(ben, { videoWidth: 640, videoHeight: 360 }, 0);
  await ben.box.press("End");
  await ben.tab.keyboard.type(" it");
  assert.equal(await ben.box.inputValue(), "Wait for it");
  assert.deepEqual(await place.boundingBox(), before);
  const shown = ben.log.getByLabel("rehearsal.webm", { exact: true });
  assert.match(await shown.getAttribute("poster"), /^data:image\/(?:webp|jpeg);base64,/);

  // Forwards and backwards: each second of it has a colour of its own.
  const colorAt = (second) =>
    shown.evaluate(async (element, to) => {
      element.pause();
      const there = new Promise((resolve) => element.addEventListener("seeked", resolve, { once: true }));
      element.currentTime = to;
      await there;
      const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
      const context = canvas.getContext("2d");
      context.drawImage(element, 310, 170, 20, 20, 0, 0, 1, 1);
      const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
      return ["red", "green", "blue"][[red, green, blue].indexOf(Math.max(red, green, blue))];
    }, second);
  assert.deepEqual([await colorAt(2.5), await colorAt(0.5), await colorAt(1.5)], ["blue", "red", "green"]);
  assert.deepEqual(await violations(ben.tab), []);

  const download = ben.tab.waitForEvent("download");
  await ben.does("The rehearsal", "Save");
  assert.equal((await download).suggestedFilename(), "rehearsal.webm");
  await ben.box.fill("");
  await ben.button("Back").click();
  await ben.row("Ann").click();
  await play.waitFor();
  assert.equal(await shown.count(), 0);
});

story("a video that takes long to come says how far it is, and is stopped", async (t) => {
  const [ann, ben] = await pair(t);
  await chooses(ann, await video(ann.tab, { seconds: 3, width: 640, height: 360 }));
  await ann.button("Send").click();
  const play = ben.log.getByRole("button", { name: "Play: rehearsal.webm" });
  await play.waitFor();
  // Only its beginning comes.
  let goOn;
  const rest = new Promise((resolve) => { goOn = resolve; });
  let asked = 0;
  await ben.context.route("**/file/*", async (route) => {
    if ((asked += 1) > 1) await rest;
    await route.continue().catch(() => undefined);
  });
  await play.focus();
  await ben.tab.keyboard.press("Enter");
  const stop = ben.log.getByRole("button", { name: /^Stop loading rehearsal\.webm [1-9].* of / });
  await stop.waitFor();
  assert.ok(await isFocused(stop));
  assert.deepEqual(await violations(ben.tab), []);
  await ben.tab.keyboard.press("Enter");
  await play.waitFor();
  goOn();
  // Once more, from its beginning: what was stopped does not come between.
  await ben.tab.keyboard.press("Enter");
  await player(ben, { videoWidth: 640 }, 0);
});
