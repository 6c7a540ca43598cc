// Push messages while Parlance is closed: what the browser, its push service and the server
// have to agree on.

import { effect } from "@preact/signals";
import type { PushSettings } from "../core/index.ts";
import { turnOnNotifications } from "./conversation/notify-question.tsx";
import { words } from "./i18n/words.ts";
import { route } from "./route.ts";
import { settings } from "./settings.ts";
import { client, session } from "./state.ts";

/** Why a device gets no push messages, if the user can do something about it, or wants to know. */
export type NotPushed = "unsupported" | "denied" | "notOffered" | "failed";

/** Whether the browser supports push. On iPhone and iPad it does once Parlance is on the Home Screen. */
export const canPush = (): boolean => "PushManager" in globalThis && "Notification" in globalThis && "serviceWorker" in navigator;

const registrationOf = async (): Promise<ServiceWorkerRegistration | undefined> => navigator.serviceWorker?.getRegistration();

const subscribed = async (): Promise<PushSubscription | null> => {
  const registration = canPush() ? await registrationOf() : undefined;
  return (await registration?.pushManager.getSubscription()) ?? null;
};

/** Whether push is enabled here, according to both the browser and the server. */
export async function isPushed(): Promise<boolean> {
  const subscription = await subscribed();
  if (!subscription) return false;
  const found = await client().pushStatus();
  return found.ok && found.value.endpoint === subscription.endpoint;
}

/** Whether the server sends push messages; assumed while it cannot be reached. */
export async function isOffered(): Promise<boolean> {
  const found = await client().pushStatus();
  return found.ok ? found.value.key !== "" : found.failure.kind !== "notOffered";
}

/** Enables push; returns the reason if it cannot, or null. */
export async function turnOnPush(): Promise<NotPushed | null> {
  const registration = canPush() ? await registrationOf() : undefined;
  if (!registration) return "unsupported";
  // First, as browsers show the permission prompt only right after a click.
  if (!(await turnOnNotifications())) return "denied";
  const found = await client().pushStatus();
  if (!found.ok) return found.failure.kind === "notOffered" ? "notOffered" : "failed";
  if (found.value.key === "") return "notOffered";
  try {
    await client().setPushSettings(pushSettings());
    const { endpoint } = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: found.value.key });
    const enabled = await client().enablePush(endpoint);
    if (enabled.ok) return null;
  } catch {
    // The browser's push service cannot be reached, or there is none.
  }
  await turnOffPush();
  return "failed";
}

/** Disables push. */
export async function turnOffPush(): Promise<void> {
  await (await subscribed())?.unsubscribe();
  await client().disablePush();
}

/** What push messages show, by the present settings. */
function pushSettings(): PushSettings {
  const { preview, sound } = settings.value;
  return { preview, sound, fresh: words.value.pushFresh, nothing: words.value.pushNothing };
}

async function savePushSettings(now: PushSettings): Promise<void> {
  if ((await subscribed()) && session.peek().kind === "in") await client().setPushSettings(now);
}

/** Sends the endpoint to the server again, if the server has another one. */
async function repair(): Promise<void> {
  const subscription = await subscribed();
  if (!subscription || (await isPushed())) return;
  await client().enablePush(subscription.endpoint);
}

/** Follows sessions, settings and what is read. */
export function followPush(): void {
  if (!canPush()) return;
  let was: string = session.value.kind;
  effect(() => {
    const { kind } = session.value;
    // After a logout this device must not get push messages any more.
    if (kind === "out" && was === "in") void subscribed().then((subscription) => subscription?.unsubscribe());
    if (kind === "in" && was !== kind) void repair();
    was = kind;
  });
  effect(() => {
    const now = pushSettings();
    if (session.value.kind === "in") void savePushSettings(now);
  });
  effect(() => {
    if (route.value.at === "conversation") void dismiss(route.value.id);
  });
}

/** Closes notifications of the conversation that is open now. */
async function dismiss(conversation: string): Promise<void> {
  for (const tag of [conversation, "parlance"]) {
    for (const notification of (await (await registrationOf())?.getNotifications({ tag })) ?? []) notification.close();
  }
}
