// Thirty pictures at once on a phone: all that is said of them stays in sight, their order is kept, and a finger goes through them.

import assert from "node:assert/strict";
import { violations } from "./chromium.mjs";
import { chooses, file } from "./files.mjs";
import { landscape } from "./landscape.mjs";
import { stories } from "./world.mjs";

const { story, joins, world } = stories({ REGISTRATION: "open", MAX_FILE_BYTES: "200000" });
const PHONE = { width: 390, height: 844, hasTouch: true, isMobile: true };
const names = Array.from({ length: 30 }, (_, i) => `IMG_${4000 + i}.jpg`);

/** Thirty files of one picture. */
const thirty = async (tab) => {
  const one = await landscape(tab, "evening", { width: 800, height: 600 });
  return names.map((name) => ({ ...one, name }));
};
/** Whether all of an element can be seen. */
const isInSight = async (person, locator) => {
  const { x, y, width, height } = await locator.boundingBox();
  const { width: wide, height: high } = person.tab.viewportSize();
  return x >= 0 && y >= 0 && x + width <= wide && y + height <= high;
};

story("what is chosen is one row on a phone, and what becomes of it is in sight; all of it can be taken out", async (t) => {
  const [ann, ben] = await Promise.all([joins(t, "Ann", PHONE), joins(t, "Ben")]);
  await ben.befriends(ann);
  await ann.box.waitFor();
  const files = await thirty(ann.tab);
  await chooses(ann, ...files);
  for (const name of ["30 photos", "Place and camera are removed"]) assert.ok(await isInSight(ann, ann.tab.getByText(name)), name);
  assert.ok(await isInSight(ann, ann.button("Send originals")));
  assert.ok(await isInSight(ann, ann.button("Remove IMG_4000.jpg")));
  const { height } = await ann.tab.locator(".composer").boundingBox();
  assert.ok(height < 844 / 3, `the composer takes ${height} px`);
  assert.ok(await ann.tab.evaluate(() => document.documentElement.scrollWidth <= 390));
  assert.deepEqual(await violations(ann.tab), []);
  // What cannot be sent is in sight, too: it would have to be looked for among the others.
  await ann.tab.locator("input[type=file][multiple]").setInputFiles(file("all of them.zip", Buffer.alloc(300_000)));
  await ann.tab.getByText("Larger than 200 kB, the limit of this server.").waitFor();
  assert.ok(await isInSight(ann, ann.button("Remove all of them.zip")));
  await ann.button("Remove all of them.zip").tap();
  // The last one is reached sideways.
  await ann.button("Remove IMG_4029.jpg").tap();
  await ann.tab.getByText("29 photos").waitFor();
  await ann.button("Remove all").tap();
  await ann.tab.locator(".chosen").first().waitFor({ state: "detached" });
  await ann.button("Record a voice message").waitFor();

  // Half way, they are taken back: nothing arrives, and what was written behind them does.
  await chooses(ann, ...files);
  await ann.tab.getByText("Place and camera are removed").waitFor();
  const isUnderWay = world.proxy.requests(5, ({ headers }) => headers["ozeki-request"] !== undefined);
  await ann.button("Send").tap();
  await isUnderWay;
  world.proxy.cut();
  await ann.log.getByText(/^Waiting for the connection/).waitFor();
  await ann.box.fill("Later, then");
  await ann.button("Send").tap();
  await ann.button("Cancel sending").tap();
  await ann.log.locator(".pictures").waitFor({ state: "detached" });
  world.proxy.restore();
  await Promise.all([ann, ben].map(({ tab }) => tab.evaluate(() => dispatchEvent(new Event("online")))));
  await ben.opens("Ann");
  await ben.sees("Later, then");
  assert.equal(await ben.log.locator(".pictures").count(), 0);
});

story("thirty pictures arrive in their order without moving what is read, and a swipe goes to the next one", async (t) => {
  const [ann, ben] = await Promise.all([joins(t, "Ann"), joins(t, "Ben", PHONE)]);
  await ann.befriends(ben);
  await ann.opens("Ben");
  await ann.says("Look at these");
  await ben.box.waitFor();
  await ben.sees("Look at these");
  await chooses(ann, ...(await thirty(ann.tab)));
  await ann.box.fill("From the walk");
  await ann.button("Send").click();
  await ben.sees("From the walk");
  // Their place is there before they are.
  const place = ben.log.locator(".pictures");
  const before = await place.boundingBox();
  await ben.log.locator(".picture img:not(.thumb)").nth(2).waitFor();
  assert.deepEqual(await place.boundingBox(), before);

  await ben.log.locator(".picture button").first().tap();
  const large = ben.tab.getByRole("dialog", { name: "From the walk" });
  await large.getByText("1 of 30").waitFor();
  const hand = await ben.tab.context().newCDPSession(ben.tab);
  const touch = (type, ...points) => hand.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y]) => ({ x, y })) });
  const swipe = async (from, to) => {
    await touch("touchStart", from);
    await touch("touchMove", [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2]);
    await touch("touchMove", to);
    await touch("touchEnd");
  };
  const shown = () => large.getByRole("button", { name: /^Save / }).getAttribute("aria-label");
  for (const [i, name] of names.entries()) {
    await large.getByText(`${i + 1} of 30`).waitFor();
    assert.equal(await shown(), `Save ${name}`);
    if (i < names.length - 1) await swipe([300, 400], [180, 410]);
  }
  await swipe([120, 400], [240, 410]);
  await large.getByText("29 of 30").waitFor();
  // Not upwards, and not where the finger moves what is enlarged: by the button, and then by two fingers.
  await swipe([200, 600], [140, 300]);
  await large.getByRole("button", { name: "Larger" }).tap();
  const smaller = (disabled) => large.getByRole("button", { name: "Smaller", disabled });
  await smaller(false).waitFor();
  await swipe([300, 400], [180, 410]);
  // Not a tap, which would only end the movement of a swipe before.
  await smaller(false).click();
  await smaller(true).waitFor();
  await large.getByText("29 of 30").waitFor();
  await swipe([300, 400], [180, 410]);
  await large.getByText("30 of 30").waitFor();
  await touch("touchStart", [150, 400], [250, 400]);
  await touch("touchMove", [50, 400], [350, 400]);
  await touch("touchEnd");
  await ben.tab.waitForFunction(() => visualViewport.scale > 1);
  await swipe([120, 400], [240, 410]);
  assert.equal(await shown(), "Save IMG_4029.jpg");
});
