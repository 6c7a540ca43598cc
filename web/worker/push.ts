// A push message says only that something is new. The worker fetches and decrypts it, and shows one notification per conversation. It
// always shows one, as browsers require, unless the user is looking at the client, which then notifies by itself.

import { closePorts, openWorkerPorts } from "../browser/open.ts";
import { leadOnce } from "../browser/tabs.ts";
import type { IncomingMessage, PushSettings } from "../core/index.ts";
import { fetchIncoming, moveSubscription, type PushPorts, pushKey, pushSettings } from "../core/session/push.ts";
import { plainText } from "../core/model/markdown.ts";
import { scope } from "./scope.ts";

/** Browsers end a worker after half a minute or so. */
const FETCH_MS = 20_000;
/** How long a hidden leading tab may take to show a notification by itself. */
const TAB_MS = 5000;

const after = <T>(ms: number, value: T): Promise<T> => new Promise((resolve) => setTimeout(() => resolve(value), ms));

const shown = async (): Promise<number> => (await scope.registration.getNotifications()).length;

/** Shows that there is something new, or nothing, without saying what. */
function showPlain(settings: PushSettings | null, isNew: boolean): Promise<void> {
  const text = isNew ? settings?.fresh : settings?.nothing;
  const silent = !isNew || settings?.sound === false;
  return scope.registration.showNotification("Parlance", { body: text ?? "", tag: "parlance", silent, icon: "icon.svg", data: "#/" });
}

/** Shows what is new, the newest of each conversation. */
async function show(messages: readonly IncomingMessage[], settings: PushSettings): Promise<void> {
  if (messages.length === 0) return showPlain(settings, false);
  if (!settings.preview) return showPlain(settings, true);
  for (const { conversation, message, where, who, text } of new Map(messages.map((one) => [one.conversation, one])).values()) {
    const title = where === who ? who : `${who} · ${where}`;
    const data = `#/c/${conversation}/m/${message}`;
    await scope.registration.showNotification(title, { body: plainText(text), tag: conversation, silent: !settings.sound, icon: "icon.svg", data });
  }
}

/** Has the leading tab connect at once, and waits whether it shows a notification by itself. */
async function leaveToTab({ channel }: PushPorts, settings: PushSettings | null): Promise<void> {
  const before = await shown();
  channel.post({ post: "ask", ask: { kind: "wake" } });
  await after(TAB_MS, null);
  if ((await shown()) <= before) await showPlain(settings, true);
}

/** Shows what is new. */
export async function onPush(): Promise<void> {
  const tabs = await scope.clients.matchAll({ type: "window", includeUncontrolled: true });
  if (tabs.some(({ visibilityState }) => visibilityState === "visible")) return;
  let settings: PushSettings | null = null;
  try {
    const ports = await openWorkerPorts();
    settings = await pushSettings(ports);
    const fetched = leadOnce(async () => ({ messages: await fetchIncoming(ports) }));
    const found = await Promise.race([fetched, after(FETCH_MS, "late" as const)]);
    if (found === null) await leaveToTab(ports, settings);
    else if (found === "late" || found.messages === null || settings === null) await showPlain(settings, true);
    else await show(found.messages, settings);
    if (found !== "late") closePorts(ports);
  } catch (error) {
    await showPlain(settings, true);
    throw error;
  }
}

/** The browser has ended or replaced the subscription: sends the new one to the server. */
export async function renew(subscription: PushSubscription | null): Promise<void> {
  const ports = await openWorkerPorts();
  try {
    const key = await pushKey(ports);
    if (key === "") return;
    const options = { userVisibleOnly: true, applicationServerKey: key };
    const { endpoint } = subscription ?? (await scope.registration.pushManager.subscribe(options));
    await moveSubscription(ports, endpoint);
  } finally {
    closePorts(ports);
  }
}
