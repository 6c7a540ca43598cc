// Whether this device is woken when something is new and Parlance is closed: what the browser, its push service and the server
// have to agree on.

import { effect } from "@preact/signals";
import type { PushSettings } from "../core/index.ts";
import { turnOnNotifications } from "./conversation/notify-question.tsx";
import { words } from "./i18n/words.ts";
import { route } from "./route.ts";
import { settings } from "./settings.ts";
import { client, session } from "./state.ts";

/** Why a device is not pushed, where a person can do something about it, or wants to know. */
export type NotPushed = "unsupported" | "denied" | "notOffered" | "failed";

/** Whether the browser can be woken at all. On iPhone and iPad it can once Parlance is on the Home Screen. */
export const canPush = (): boolean => "PushManager" in globalThis && "Notification" in globalThis && "serviceWorker" in navigator;

const registrationOf = async (): Promise<ServiceWorkerRegistration | undefined> => navigator.serviceWorker?.getRegistration();

const subscribed = async (): Promise<PushSubscription | null> => {
  const registration = canPush() ? await registrationOf() : undefined;
  return (await registration?.pushManager.getSubscription()) ?? null;
};

/** Whether this device is pushed, as browser and server say. */
export async function isPushed(): Promise<boolean> {
  const subscription = await subscribed();
  if (!subscription) return false;
  const found = await client().pushStatus();
  return found.ok && found.value.endpoint === subscription.endpoint;
}

/** Whether the server pushes at all; yes, as long as it cannot be asked. */
export async function isOffered(): Promise<boolean> {
  const found = await client().pushStatus();
  return found.ok ? found.value.key !== "" : found.failure.kind !== "notOffered";
}

/** Enables push; returns the reason if it cannot, or null. */
export async function turnOnPush(): Promise<NotPushed | null> {
  const registration = canPush() ? await registrationOf() : undefined;
  if (!registration) return "unsupported";
  // First, as browsers ask only right after a click.
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

/** How what is new is shown, by what is set now. */
function pushSettings(): PushSettings {
  const { preview, sound } = settings.value;
  return { preview, sound, fresh: words.value.pushFresh, nothing: words.value.pushNothing };
}

async function savePushSettings(now: PushSettings): Promise<void> {
  if ((await subscribed()) && session.peek().kind === "in") await client().setPushSettings(now);
}

/** Tells the server again where it pushes this device, if that is not what it knows. */
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
    // Whoever logs out, or is signed out, is woken no more.
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

/** Takes away what was shown of a conversation that is open now. */
async function dismiss(conversation: string): Promise<void> {
  for (const tag of [conversation, "parlance"]) {
    for (const notification of (await (await registrationOf())?.getNotifications({ tag })) ?? []) notification.close();
  }
}
