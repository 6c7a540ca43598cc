// Registers the service worker after the first paint, checks for a new version periodically, and activates it when the user says so.
// If another tab activates it, this one keeps running, and still offers the new version.

import { isMissingFile } from "./failure.ts";
import { words } from "./i18n/words.ts";
import { note } from "./parts/announcer.tsx";
import { parseRoute, route } from "./route.ts";
import { newVersion } from "./state.ts";

const LOOK_MS = 60 * 60_000;

interface Policy {
  createScriptURL: (address: string) => unknown;
}
interface TrustedTypes {
  createPolicy: (name: string, rules: { createScriptURL: (address: string) => string }) => Policy;
}

/** The worker's address, in the form that the Content-Security-Policy asks for; there is no other script address. */
function workerAddress(): string {
  const address = "sw.js";
  const trusted = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
  if (!trusted) return address;
  const policy = trusted.createPolicy("parlance", { createScriptURL: () => address });
  return policy.createScriptURL(address) as string; // a TrustedScriptURL, which the types do not know
}

/** Registers the worker, and sets `newVersion` when an update is waiting. Without a worker the client does not open offline. */
export async function install(): Promise<void> {
  if (!("serviceWorker" in navigator)) return;
  navigator.serviceWorker.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
    if (typeof data !== "object" || data === null || !("show" in data) || typeof data.show !== "string") return;
    history.pushState(null, "", data.show);
    route.value = parseRoute(data.show);
  });
  let { controller } = navigator.serviceWorker;
  navigator.serviceWorker.addEventListener("controllerchange", () => {
    // The first worker has this page's version.
    if (controller) newVersion.value = true;
    controller = navigator.serviceWorker.controller;
  });
  try {
    const registration = await navigator.serviceWorker.register(workerAddress());
    const look = (): void => {
      if (registration.waiting && navigator.serviceWorker.controller) newVersion.value = true;
    };
    look();
    registration.addEventListener("updatefound", () => {
      registration.installing?.addEventListener("statechange", look);
    });
    setInterval(() => void registration.update().catch(() => undefined), LOOK_MS);
  } catch {
    // With an invalid certificate or in a private window there is no worker; everything else works.
  }
}

/** Whether a reload would load another version. */
async function isReplaced(): Promise<boolean> {
  const own = document.querySelector("script[type=module]")?.getAttribute("src") ?? "";
  const page = await fetch("./", { cache: "no-store" });
  return page.ok && !(await page.text()).includes(own);
}

/** When a chunk cannot be loaded: offers a reload if its version is gone, otherwise shows that the server does not answer. */
export function watchFiles(): void {
  const look = async (error: unknown): Promise<void> => {
    if (!isMissingFile(error)) return;
    if (await isReplaced().catch(() => false)) newVersion.value = true;
    else note(words.value.noAnswer);
  };
  addEventListener("unhandledrejection", ({ reason }) => void look(reason));
  addEventListener("error", ({ error }) => void look(error));
}

/** Activates a waiting version, if there is one, and reloads the page. */
export async function reload(): Promise<void> {
  const registration = await navigator.serviceWorker?.getRegistration();
  if (!registration?.waiting) {
    location.reload();
    return;
  }
  navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
  registration.waiting.postMessage("use new version");
}
