// The service worker: installed after the first paint, looked at for a new version now and then, changed when the
// person says so. Where it was changed by another tab, this one goes on, and still says that there is a new version.

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

/** Installs the worker, and tells when a new version waits. Without one the client works, but does not open offline. */
export async function install(): Promise<void> {
  if (!("serviceWorker" in navigator)) return;
  navigator.serviceWorker.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
    if (typeof data !== "object" || data === null || !("show" in data) || typeof data.show !== "string") return;
    history.pushState(null, "", data.show);
    route.value = parseRoute(data.show);
  });
  let { controller } = navigator.serviceWorker;
  navigator.serviceWorker.addEventListener("controllerchange", () => {
    // The first one is of this page's own version.
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
    // A certificate that the browser only tolerates, or a private window: no worker, the rest works.
  }
}

/** Whether a reload would bring another version than this one. */
async function isReplaced(): Promise<boolean> {
  const own = document.querySelector("script[type=module]")?.getAttribute("src") ?? "";
  const page = await fetch("./", { cache: "no-store" });
  return page.ok && !(await page.text()).includes(own);
}

/** Offers a reload where a part cannot be loaded, as its file is gone with the version; else says that there is no answer. */
export function watchFiles(): void {
  const look = async (error: unknown): Promise<void> => {
    if (!isMissingFile(error)) return;
    if (await isReplaced().catch(() => false)) newVersion.value = true;
    else note(words.value.noAnswer);
  };
  addEventListener("unhandledrejection", ({ reason }) => void look(reason));
  addEventListener("error", ({ error }) => void look(error));
}

/** Changes to the version that waits, if one does, and loads the page anew. */
export async function reload(): Promise<void> {
  const registration = await navigator.serviceWorker?.getRegistration();
  if (!registration?.waiting) {
    location.reload();
    return;
  }
  navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
  registration.waiting.postMessage("use new version");
}
