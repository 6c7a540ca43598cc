// A push says only that something is new. The worker fetches it, decrypts it, and shows one notification a conversation; it
// always shows one, as browsers demand, unless somebody looks at the client, which then tells by itself.

import { closePorts, openPorts } from "../browser/open.ts";
import { leadOnce } from "../browser/tabs.ts";
import type { News, Ports, Waking } from "../core/index.ts";
import { fetchNews, moved, pushKey, wakingOf } from "../core/session/woken.ts";
import { plainText } from "../core/model/markdown.ts";
import { scope } from "./scope.ts";

/** Browsers end a worker after half a minute or so. */
const FETCH_MS = 20_000;
/** How long a hidden tab that leads has to tell by itself. */
const TAB_MS = 5000;

const after = <T>(ms: number, value: T): Promise<T> => new Promise((resolve) => setTimeout(() => resolve(value), ms));

const shown = async (): Promise<number> => (await scope.registration.getNotifications()).length;

/** Shows that there is something, or nothing, where it cannot or must not be said what. */
function showPlain(waking: Waking | null, isNew: boolean): Promise<void> {
  const text = isNew ? waking?.fresh : waking?.nothing;
  const silent = !isNew || waking?.sound === false;
  return scope.registration.showNotification("Parlance", { body: text ?? "", tag: "parlance", silent, icon: "icon.svg", data: "#/" });
}

/** Shows what is new, the newest of each conversation. */
async function show(news: readonly News[], waking: Waking): Promise<void> {
  if (news.length === 0) return showPlain(waking, false);
  if (!waking.preview) return showPlain(waking, true);
  for (const { conversation, message, where, who, text } of new Map(news.map((one) => [one.conversation, one])).values()) {
    const title = where === who ? who : `${who} · ${where}`;
    const data = `#/c/${conversation}/m/${message}`;
    await scope.registration.showNotification(title, { body: plainText(text), tag: conversation, silent: !waking.sound, icon: "icon.svg", data });
  }
}

/** Has a tab that leads connect at once, and waits whether it tells by itself. */
async function leaveToTab({ channel }: Ports, waking: Waking | null): Promise<void> {
  const before = await shown();
  channel.post({ post: "ask", ask: { kind: "wake" } });
  await after(TAB_MS, null);
  if ((await shown()) <= before) await showPlain(waking, true);
}

/** Shows what is new. */
export async function onPush(): Promise<void> {
  const tabs = await scope.clients.matchAll({ type: "window", includeUncontrolled: true });
  if (tabs.some(({ visibilityState }) => visibilityState === "visible")) return;
  let waking: Waking | null = null;
  try {
    const ports = await openPorts();
    waking = await wakingOf(ports);
    const fetched = leadOnce(async () => ({ news: await fetchNews(ports) }));
    const found = await Promise.race([fetched, after(FETCH_MS, "late" as const)]);
    if (found === null) await leaveToTab(ports, waking);
    else if (found === "late" || found.news === null || waking === null) await showPlain(waking, true);
    else await show(found.news, waking);
    if (found !== "late") closePorts(ports);
  } catch (error) {
    await showPlain(waking, true);
    throw error;
  }
}

/** The browser has ended the subscription, or replaced it: the server is told of the new one. */
export async function renew(subscription: PushSubscription | null): Promise<void> {
  const ports = await openPorts();
  try {
    const key = await pushKey(ports);
    if (key === "") return;
    const options = { userVisibleOnly: true, applicationServerKey: key };
    const { endpoint } = subscription ?? (await scope.registration.pushManager.subscribe(options));
    await moved(ports, endpoint);
  } finally {
    closePorts(ports);
  }
}
