// Push messages while Parlance is closed: what the service worker shows. A browser without a network has no push service, so its part
// is simulated: the endpoint is made up, and leads nowhere.

import assert from "node:assert/strict";
import { stories } from "../world.mjs";

const { world, story, joins } = stories({ REGISTRATION: "open", PUSH_CONTACT: "mailto:operator@example.org" }, { isWhole: true });

/** How often a push message is delivered that does not reach the worker, and how long it may take. */
const MAX_DELIVERIES = 5;
const DELIVERY_MS = 5_000;

/** A push endpoint at an internal address, to which the server refuses to connect. */
const endpoint = "https://push.localhost/of-this-device";

/** Plays the browser's part of a subscription; it lasts over a reload, as a real one does. */
function playPushService(at) {
  const subscription = {
    endpoint: at,
    unsubscribe: () => Promise.resolve(localStorage.removeItem("pushed") ?? true),
  };
  PushManager.prototype.getSubscription = () => Promise.resolve(localStorage.getItem("pushed") ? subscription : null);
  PushManager.prototype.subscribe = ({ userVisibleOnly, applicationServerKey }) => {
    if (!userVisibleOnly || applicationServerKey.length !== 87) return Promise.reject(new Error("not as a browser wants it"));
    localStorage.setItem("pushed", "yes");
    return Promise.resolve(subscription);
  };
}

/** Ann and Ben, each on a desk, in contact; Ann has the conversation open. */
async function desks(t) {
  const [ann, ben] = await Promise.all([joins(t, "Ann"), joins(t, "Ben")]);
  await ann.befriends(ben);
  await ann.opens("Ben");
  return [ann, ben];
}

/** Writes, and waits until the server has it. */
async function writes(person, text, shownAs = text) {
  await person.says(text);
  await person.knows(shownAs, "Sent");
}

/** A person who may be notified, with the worker of their browser. */
async function withWorker(person) {
  const { origin } = new URL(world.proxy.address);
  await person.context.grantPermissions(["notifications"], { origin });
  await person.context.addInitScript(playPushService, endpoint);
  await person.tab.reload();
  await person.tab.evaluate(() => navigator.serviceWorker.ready);
  await person.tab.waitForFunction(() => navigator.serviceWorker.controller !== null);
}

/** Asks a person's service worker. It is started again if the browser has ended it. */
function asksWorker(person, question, of) {
  return person.context.serviceWorkers().at(-1).evaluate(question, of);
}

/**
 * Simulates a click on the notification, and waits until the worker has handled it: returns where a window was opened, and which one
 * was focused. Browsers allow a worker that only for a real click.
 */
function clicks(person) {
  return asksWorker(person, async () => {
    const done = [];
    globalThis.clients.openWindow = async (address) => void done.push(`opened ${address}`);
    globalThis.WindowClient.prototype.focus = async function focus() {
      done.push("focused a window");
      return this;
    };
    const [notification] = await globalThis.registration.getNotifications();
    const work = [];
    const click = Object.assign(new NotificationEvent("notificationclick", { notification }), { waitUntil: (task) => work.push(task) });
    globalThis.dispatchEvent(click);
    await Promise.all(work);
    return done;
  });
}

/** Plays the browser's part where it moves a subscription to another place, and says so, or leaves it to the worker to ask for it. */
function movesSubscription(person, to, isTold) {
  const move = async ([endpoint, told]) => {
    PushManager.prototype.subscribe = async ({ userVisibleOnly, applicationServerKey }) => {
      if (!userVisibleOnly || applicationServerKey.length !== 87) throw new Error("not as a browser wants it");
      return { endpoint };
    };
    const work = [];
    const newSubscription = told ? { endpoint } : null;
    const moved = Object.assign(new ExtendableEvent("pushsubscriptionchange"), { newSubscription, waitUntil: (task) => work.push(task) });
    globalThis.dispatchEvent(moved);
    await Promise.all(work);
  };
  return asksWorker(person, move, [to, isTold]);
}

/** Asks the worker until the answer is as it has to be: it has nothing that could be awaited from outside. */
async function untilWorker(person, question, isDone, what) {
  const end = Date.now() + 60_000;
  for (;;) {
    const answer = await asksWorker(person, question);
    if (isDone(answer)) return answer;
    assert.ok(Date.now() < end, `${what}; it is still ${JSON.stringify(answer)}`);
    await new Promise((later) => setTimeout(later, 50));
  }
}

/** Closes the client; the tab shows something else. */
async function closes(person) {
  await person.tab.goto("about:blank");
  // A closed page lives on for a moment, and the worker leaves notifications to a visible page.
  const windows = async () => (await globalThis.clients.matchAll({ type: "window", includeUncontrolled: true })).length;
  await untilWorker(person, windows, (open) => open === 0, "no window is open");
}

/** Has the browser deliver a push message, and returns what is shown once the worker has handled it. */
async function isPushed(person, isDone) {
  const session = await person.context.newCDPSession(person.tab);
  const registered = new Promise((found) => {
    session.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => {
      const one = registrations.find(({ scopeURL, isDeleted }) => !isDeleted && scopeURL.startsWith(world.proxy.address));
      if (one) found(one.registrationId);
    });
  });
  await session.send("ServiceWorker.enable");
  const registrationId = await registered;
  const { origin } = new URL(world.proxy.address);
  await asksWorker(person, () => {
    globalThis.pushes = 0;
    globalThis.addEventListener("push", () => (globalThis.pushes += 1));
  });
  // A push service keeps a message until the browser has it; on a busy machine Chromium once in a while loses one that is delivered in this way.
  let pushes = 0;
  for (let tries = 0; pushes === 0 && tries < MAX_DELIVERIES; tries++) {
    await session.send("ServiceWorker.deliverPushMessage", { origin, registrationId, data: "" });
    const end = Date.now() + DELIVERY_MS;
    do pushes = await asksWorker(person, () => new Promise((answer) => setTimeout(() => answer(globalThis.pushes), 50)));
    while (pushes === 0 && Date.now() < end);
  }
  await session.detach();
  // Undefined, if the browser has started another worker for it.
  assert.notEqual(pushes, 0, "the browser delivers the push message");
  return shown(person, isDone);
}

/** What is shown, as soon as it is this. */
function shown(person, isDone) {
  const notifications = async () => {
    const found = await globalThis.registration.getNotifications();
    return found.map(({ title, body, tag, data, silent }) => ({ title, body, tag, data, silent }));
  };
  return untilWorker(person, notifications, isDone, "this is shown");
}

const pushSwitch = (person, state) => person.tab.getByRole("switch", { name: /^Notify when Parlance is closed/, ...state });

async function turnsOn(person) {
  await person.looksAt("Notifications");
  await pushSwitch(person, { disabled: false, checked: false }).click();
  await pushSwitch(person, { checked: true }).waitFor();
}

story("a push message shows who wrote what while the client is closed; opened, it has the messages", async (t) => {
  const [ann, ben] = await desks(t);
  await withWorker(ben);
  await turnsOn(ben);
  await ben.tab.reload();
  await pushSwitch(ben, { checked: true }).waitFor();
  await closes(ben);
  await ann.says("the first");
  await writes(ann, "are you **there**?", "are you there?");
  const all = await isPushed(ben, (found) => found.length > 0);
  assert.equal(all.length, 1);
  const [{ title, body, tag, data }] = all;
  assert.deepEqual([title, body], ["Ann", "are you there?"]);
  assert.ok(data.startsWith(`#/c/${tag}/m/`), data);
  // The rows are here: the client opens with them, and says what is unread.
  await ben.tab.goto(world.proxy.address);
  await ben.row("Ann", "2 unread").waitFor();
  // The notification is closed when the conversation is opened.
  await ben.opens("Ann");
  await ben.sees("are you there?");
  assert.deepEqual(await shown(ben, (found) => found.length === 0), []);
});

story("without previews a push message shows only that there is something; what was read elsewhere is shown silently", async (t) => {
  const [ann, ben] = await desks(t);
  await withWorker(ben);
  await turnsOn(ben);
  await ben.tab.getByRole("switch", { name: "Show names and text" }).click();
  await ben.tab.evaluate(async () => {
    // As it is kept for the worker.
    for (;;) {
      const database = await new Promise((opened) => (indexedDB.open("parlance").onsuccess = ({ target }) => opened(target.result)));
      const read = database.transaction("meta").objectStore("meta").get("waking");
      const waking = await new Promise((done) => (read.onsuccess = () => done(read.result)));
      database.close();
      if (waking?.preview === false) return;
      await new Promise((later) => setTimeout(later, 50));
    }
  });
  await closes(ben);
  await writes(ann, "a secret");
  const [plain] = await isPushed(ben, (found) => found.length > 0);
  assert.deepEqual([plain.title, plain.body, plain.data], ["Parlance", "New message", "#/"]);
  const [nothing] = await isPushed(ben, (found) => found.some(({ body }) => body === "No new messages"));
  assert.equal(nothing.silent, true);
});

story("a muted conversation is quiet, and so is everything while the user is looking", async (t) => {
  const [ann, ben] = await desks(t);
  const cleo = await joins(t, "Cleo");
  await cleo.befriends(ben);
  await cleo.opens("Ben");
  await withWorker(ben);
  await turnsOn(ben);
  await ben.tab.goto(`${world.proxy.address}#/`);
  await ben.row("Ann").click({ button: "right" });
  await ben.tab.getByRole("menuitem", { name: "Mute" }).click();
  await ben.row("Ann", "muted").waitFor();
  await closes(ben);
  await writes(ann, "not a sound");
  await writes(cleo, "a sound");
  const all = await isPushed(ben, (found) => found.length > 0);
  assert.deepEqual(
    all.map(({ title, body }) => [title, body]),
    [["Cleo", "a sound"]],
  );
  await ben.tab.goto(`${world.proxy.address}#/`);
  await ben.row("Cleo", "1 unread").waitFor();
  await ben.opens("Cleo");
  await shown(ben, (found) => found.length === 0);
  assert.deepEqual(await isPushed(ben, () => true), []);
});

story("after a logout there are no push messages, and a device that cannot decrypt shows at least that there is something", async (t) => {
  const [ann, ben] = await desks(t);
  await withWorker(ben);
  await turnsOn(ben);
  // The server is away when the push arrives.
  await closes(ben);
  await writes(ann, "unread");
  world.proxy.cut();
  const [plain] = await isPushed(ben, (found) => found.length > 0);
  assert.deepEqual([plain.title, plain.body], ["Parlance", "New message"]);
  world.proxy.restore();
  await ben.tab.goto(`${world.proxy.address}#/`);
  await ben.row("Ann", "1 unread").waitFor();
  await ben.button("Account").click();
  await ben.button("Log out").click();
  await ben.confirms("Log out");
  await ben.button("Log in").waitFor();
  await ben.tab.waitForFunction(() => localStorage.getItem("pushed") === null);
});

story("a click on a notification shows its conversation: in a new window, or in the one that is open", async (t) => {
  const [ann, ben] = await desks(t);
  await withWorker(ben);
  await turnsOn(ben);
  await closes(ben);
  await writes(ann, "are you there?");
  const [{ data }] = await isPushed(ben, (found) => found.length > 0);
  const opened = await clicks(ben);
  assert.deepEqual(opened, [`opened ${world.proxy.address}${data}`]);
  assert.deepEqual(await shown(ben, (found) => found.length === 0), []);
  await ben.tab.goto(world.proxy.address + data);
  await ben.sees("are you there?");
  await ann.knows("are you there?", "Seen");
  // An open window in the background shows the notification by itself.
  await ben.tab.goto(`${world.proxy.address}#/`);
  await ben.row("Ann").waitFor();
  await ben.tab.evaluate(() => {
    document.hasFocus = () => false;
    dispatchEvent(new Event("blur"));
  });
  await writes(ann, "and now?");
  await shown(ben, (found) => found.some(({ body }) => body === "and now?"));
  assert.deepEqual(await clicks(ben), ["focused a window"]);
  await ben.tab.getByRole("heading", { level: 1, name: "Ann", exact: true }).waitFor();
  await ben.sees("and now?");
  assert.deepEqual(await shown(ben, (found) => found.length === 0), []);
});

story("when the browser replaces a subscription, the server gets the new endpoint", async (t) => {
  const ben = await joins(t, "Ben");
  await withWorker(ben);
  await turnsOn(ben);
  const place = async () => (await ben.asks("chatlogin", "push", {})).endpoint;
  assert.equal(await place(), endpoint);
  for (const [to, isTold] of [[`${endpoint}-moved`, true], [`${endpoint}-again`, false]]) {
    await movesSubscription(ben, to, isTold);
    assert.equal(await place(), to);
  }
});
