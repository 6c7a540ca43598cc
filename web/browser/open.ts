// The core's ports in a browser.

import type { Ports } from "../core/ports.ts";
import { openBackend } from "./backend.ts";
import { clock } from "./clock.ts";
import { deviceNameOf } from "./device.ts";
import { httpTo } from "./http.ts";
import { socketTo } from "./socket.ts";
import { exclusive, lead, openChannel } from "./tabs.ts";

/** Calls back when the network may be available again, or the page becomes visible. Only a hint. */
function onHint(listener: () => void): () => void {
  const looked = (): void => {
    if (document.visibilityState === "visible") listener();
  };
  addEventListener("online", listener);
  document.addEventListener("visibilitychange", looked);
  return () => {
    removeEventListener("online", listener);
    document.removeEventListener("visibilitychange", looked);
  };
}

/** Asks the browser not to evict the database when the disk is full. */
export const keepStorage = async (): Promise<boolean> => (await navigator.storage?.persist?.()) ?? false;

/** The ports of this page, whose server is where the page is from. */
export async function openPorts(): Promise<Ports> {
  const base = new URL("./", location.href).href.replace(/[?#].*$/, "");
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

/** Closes what `openPorts` has opened: a worker opens its ports for each event. */
export function closePorts({ backend, channel }: Ports): void {
  backend.close();
  channel.close();
}
