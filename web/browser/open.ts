// The core's ports in a browser.

import type { Ports } from "../core/ports.ts";
import type { PushPorts } from "../core/session/push.ts";
import { openBackend } from "./backend.ts";
import { clock } from "./clock.ts";
import { deviceNameOf } from "./device.ts";
import { httpTo } from "./http.ts";
import { socketTo } from "./socket.ts";
import { exclusive, lead, openChannel } from "./tabs.ts";

/** Calls back when the network may be available again or has changed, or the page becomes visible. Only a hint. */
function onHint(listener: () => void): () => void {
  const looked = (): void => {
    if (document.visibilityState === "visible") listener();
  };
  // Firefox and Safari have no `connection`.
  const { connection } = navigator as { connection?: EventTarget };
  addEventListener("online", listener);
  connection?.addEventListener("change", listener);
  document.addEventListener("visibilitychange", looked);
  return () => {
    removeEventListener("online", listener);
    connection?.removeEventListener("change", listener);
    document.removeEventListener("visibilitychange", looked);
  };
}

/** Asks the browser not to evict the database when the disk is full. */
export const keepStorage = async (): Promise<boolean> => (await navigator.storage?.persist?.()) ?? false;

/** Where this page or worker is from, and its server is. */
const baseAddress = (): string => new URL("./", location.href).href.replace(/[?#].*$/, "");

/** The ports of a service worker, for one event. */
export async function openWorkerPorts(): Promise<PushPorts> {
  const backend = await openBackend({ onBlocked: () => undefined, onOutdated: () => undefined });
  return { clock, http: httpTo(baseAddress()), backend, exclusive, channel: openChannel(), onFault: (error) => reportError(error) };
}

/** The ports of this page. */
export async function openPorts(): Promise<Ports> {
  const base = baseAddress();
  const outdated = new Set<() => void>();
  // A tab with an older client closes the database by itself on `versionchange`.
  const events = { onBlocked: () => undefined, onOutdated: () => outdated.forEach((listener) => listener()) };
  return {
    clock,
    http: httpTo(base),
    openSocket: socketTo(base),
    backend: await openBackend(events),
    deviceName: deviceNameOf(navigator.userAgent),
    lead,
    exclusive,
    channel: openChannel(),
    onHint,
    onOutdated: (listener) => {
      outdated.add(listener);
      return () => outdated.delete(listener);
    },
    onFault: (error) => reportError(error),
  };
}

/** Closes what `openWorkerPorts` has opened. */
export function closePorts({ backend, channel }: PushPorts): void {
  backend.close();
  channel.close();
}
