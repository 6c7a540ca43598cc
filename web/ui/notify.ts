// What is shown outside of the page: the unread count in title and icon, and the browser's notifications.

import { effect } from "@preact/signals";
import { followLooks, isLookedAt } from "../browser/tabs.ts";
import type { Client, IncomingMessage } from "../core/index.ts";
import { go, hashOf, type Route } from "./route.ts";
import { settings } from "./settings.ts";
import { unreadCount } from "./state.ts";
import { plainText } from "../core/model/markdown.ts";

const MAX_COUNT = 99;

/** Keeps the page's title, its icon and the app's badge at the number of unread messages. */
export function showCount(): void {
  const icon = document.querySelector<HTMLLinkElement>("link[rel=icon]");
  const plain = icon?.href ?? "";
  effect(() => {
    const count = unreadCount.value;
    document.title = count > 0 ? `(${count > MAX_COUNT ? "99+" : count}) Parlance` : "Parlance";
    if (icon) icon.href = count > 0 ? plain.replace(/icon\.svg$/, "icon-new.svg") : plain;
    if ("setAppBadge" in navigator) void navigator.setAppBadge(count).catch(() => undefined);
  });
}

let sound: AudioContext | null = null;

/** Plays two soft notes. Browsers allow no sound before the user has interacted with the page. */
function play(): void {
  sound ??= new AudioContext();
  if (sound.state !== "running") return;
  [660, 880].forEach((frequency, i) => {
    if (!sound) return;
    const start = sound.currentTime + i * 0.12;
    const tone = sound.createOscillator();
    const volume = sound.createGain();
    tone.frequency.value = frequency;
    volume.gain.setValueAtTime(0, start);
    volume.gain.linearRampToValueAtTime(0.06, start + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, start + 0.3);
    tone.connect(volume).connect(sound.destination);
    tone.start(start);
    tone.stop(start + 0.32);
  });
}

/** Shows a notification, unless the user is looking at a tab, this one or another. The tag prevents a second one for the same message. */
async function notify(message: IncomingMessage): Promise<void> {
  if (!settings.value.notify || !("Notification" in window) || Notification.permission !== "granted" || (await isLookedAt())) return;
  if (settings.value.sound) play();
  const { preview } = settings.value;
  const title = preview ? (message.where === message.who ? message.who : `${message.who} · ${message.where}`) : "Parlance";
  const place: Route = { at: "conversation", id: message.conversation, message: message.message };
  const options = { body: preview ? plainText(message.text) : "", tag: message.message, silent: true, icon: "icon.svg", data: hashOf(place) };
  const registration = await navigator.serviceWorker?.getRegistration();
  if (registration) {
    await registration.showNotification(title, options); // on Android there is no other way
    return;
  }
  const shown = new Notification(title, options);
  shown.addEventListener("click", () => {
    window.focus();
    go(place);
    shown.close();
  });
}

/** Shows a notification for each new message; the client reports those in one tab only. */
export function followMessages(client: Client): void {
  followLooks();
  client.onMessage((message) => void notify(message));
}
