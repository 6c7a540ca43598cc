// Makes a client of the ports.

import type { Client } from "./api.ts";
import type { Ports } from "./ports.ts";

/** Starts a client; it opens the session that lies in the store, if there is one. */
export function startClient(ports: Ports): Promise<Client> {
  throw new Error(`not yet: ${ports.deviceName}`);
}
