// Ports for a program in Node: everything in memory, no other tabs.

import { clock } from "../browser/clock.ts";
import { httpTo } from "../browser/http.ts";
import { socketTo } from "../browser/socket.ts";
import type { Ports } from "../core/ports.ts";
import { memoryBackend } from "../core/store/memory.ts";
import { Serial } from "../core/sync/serial.ts";

/** Ports for the server at this address. Each can be replaced. */
export function nodePorts(address: string, others: Partial<Ports> = {}): Ports {
  const base = address.endsWith("/") ? address : `${address}/`;
  return {
    clock,
    http: httpTo(base),
    openSocket: socketTo(base),
    backend: memoryBackend(),
    deviceName: "Node",
    exclusive: new Serial(),
    lead: (lead) => {
      const ending = new AbortController();
      void lead(ending.signal);
      return () => ending.abort();
    },
    channel: { post: () => undefined, listen: () => () => undefined, close: () => undefined },
    onHint: () => () => undefined,
    onOutdated: () => () => undefined,
    onFault: (error) => process.emitWarning(error instanceof Error ? error : String(error)),
    ...others,
  };
}
