// The service worker: it keeps the files of one version, so that the client opens offline and never mixes two versions.
// A new version waits until the person says "Reload". Nothing that the server answers to calls passes through here.

import type { FileInfo } from "../core/model/file.ts";
import { announce, download, isSaving } from "./download.ts";
import { onPush, renew } from "./push.ts";
import { scope } from "./scope.ts";

/** Made by the build: what this version is called, and its files. */
declare const VERSION: string;
declare const FILES: readonly string[];

const PREFIX = "parlance-";
const cacheName = PREFIX + VERSION;
const known = new Set(FILES.map((file) => new URL(file, scope.location.href).href));
const start = new URL("./", scope.location.href).href;

async function install(): Promise<void> {
  const cache = await caches.open(cacheName);
  await cache.addAll(FILES.map((file) => new Request(file, { cache: "reload" })));
}

async function activate(): Promise<void> {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== cacheName) await caches.delete(name);
  }
  await scope.clients.claim();
}

async function answer(request: Request, address: string): Promise<Response> {
  const cache = await caches.open(cacheName);
  return (await cache.match(address)) ?? fetch(request);
}

scope.addEventListener("install", (event) => {
  // Where the browser supports static routing, calls bypass this worker.
  event.addRoutes?.({ condition: { requestMethod: "POST" }, source: "network" }).catch(reportError);
  event.waitUntil(install());
});
scope.addEventListener("activate", (event) => event.waitUntil(activate()));
scope.addEventListener("message", ({ data, ports: [port] }) => {
  if (data === "use new version") void scope.skipWaiting();
  // Only pages of ours can post here; what a file says is checked where it is read.
  if (typeof data !== "object" || data === null || !port) return;
  if ("download" in data) announce({ file: data.download as FileInfo, post: (message) => port.postMessage(message) });
  // The event also keeps this worker alive: browsers end one that has had none for half a minute.
  if ("saving" in data) port.postMessage(isSaving(String(data.saving)));
});
scope.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return;
  const address = new URL(request.url);
  address.hash = "";
  const saved = download(address.href);
  if (saved) return event.respondWith(saved);
  const wanted = request.mode === "navigate" && address.pathname === new URL(start).pathname ? start : address.href;
  if (known.has(wanted)) event.respondWith(answer(request, wanted));
});

/** Shows the conversation of a notification: in a window that is open, else in a new one. */
async function show(place: string): Promise<void> {
  const [open] = await scope.clients.matchAll({ type: "window", includeUncontrolled: true });
  if (!open) {
    await scope.clients.openWindow(start + place);
    return;
  }
  open.postMessage({ show: place });
  await open.focus();
}

scope.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const { data } = event.notification;
  if (typeof data === "string" && data.startsWith("#/")) event.waitUntil(show(data));
});
scope.addEventListener("push", (event) => event.waitUntil(onPush()));
scope.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renew(event.newSubscription ?? null)));
