// A network that fails: requests that never arrive, answers that are lost after the server has done its work, sockets that
// break. Seeded: a failed run prints its seed and can be repeated.

import { httpTo } from "../../browser/http.ts";
import { socketTo } from "../../browser/socket.ts";
import type { Http, OpenSocket } from "../../core/ports.ts";
import { address } from "./person.ts";

/** The network between one client and the server. */
export class Network {
  /** From 0 to 1. */
  faults = 0;
  /** Whether sockets are silent. */
  silent = false;
  /** The answers to this action are lost. */
  loses: string | null = null;
  /** Number of requests of each action. */
  readonly asked = new Map<string, number>();
  private readonly open = new Set<() => void>();

  constructor(private readonly random: () => number) {}

  http: Http = async (path, body, headers, signal, heard) => {
    const { action } = JSON.parse(typeof body === "string" ? body : "{\"action\":\"bytes\"}") as { action: string };
    this.asked.set(action, (this.asked.get(action) ?? 0) + 1);
    if (this.random() < this.faults) throw new Error("the request was lost");
    const answer = await httpTo(`${address}/`)(path, body, headers, signal, heard);
    if (action === this.loses || this.random() < this.faults) throw new Error("the answer was lost");
    return answer;
  };

  openSocket: OpenSocket = (path, listener, protocols) => {
    const heard = {
      ...listener,
      onFrame: (text: string) => {
        if (!this.silent) listener.onFrame(text);
      },
    };
    const socket = socketTo(`${address}/`)(path, heard, protocols);
    const cut = (): void => {
      this.open.delete(cut);
      socket.close();
      listener.onClose(1006);
    };
    this.open.add(cut);
    return socket;
  };

  /** Breaks all sockets. */
  cut(): void {
    for (const cut of [...this.open]) cut();
  }
}
