// Everything that the core needs, as a browser has it.

import type { Ports } from "../core/ports.ts";
import { openBackend } from "./backend.ts";
import { clock } from "./clock.ts";
import { deviceNameOf } from "./device.ts";
import { httpTo } from "./http.ts";
import { socketTo } from "./socket.ts";
import { exclusive, lead, openChannel } from "./tabs.ts";

/** When the network may be there again, or somebody looks: a hint, no more. */
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

/** Asks the browser not to throw the database away when the disk is full. */
export const keepStorage = async (): Promise<boolean> => (await navigator.storage?.persist?.()) ?? false;

/** The ports of this page, whose server is where the page is from. */
export async function openPorts(): Promise<Ports> {
  const base = new URL("./", location.href).href.replace(/[?#].*$/, "");
  const outdated = new Set<() => void>();
  // A tab with an older client lets go by itself when it hears of it; there is nothing else to do.
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

/** Closes what `openPorts` has opened: a worker opens it anew for each thing that it does. */
export function closePorts({ backend, channel }: Ports): void {
  backend.close();
  channel.close();
}
