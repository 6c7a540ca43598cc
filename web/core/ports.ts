// What the core needs from its environment. It is injected once, so that tests can replace it.

import type { Backend } from "./store/backend.ts";

/** Time, and waiting. */
export interface Clock {
  /** Milliseconds since 1970, by this device. */
  now: () => number;
  /** Calls back once, after `ms` milliseconds; returns a function that cancels it. */
  after: (ms: number, then: () => void) => () => void;
  /** Whether `after` may call back much later: browsers run the timers of a hidden tab once a second, later once a minute. */
  isLate?: () => boolean;
}

/** An answer of HTTP, as far as the core reads it. */
export interface HttpAnswer {
  status: number;
  /** Of the headers `Date` and `Retry-After`; null where there is none. */
  date: string | null;
  retryAfter: string | null;
  text: string;
  /** The body of a successful GET; then `text` is empty. */
  bytes?: Uint8Array<ArrayBuffer>;
}

/**
 * Sends one request, with GET if there is no body; rejects if there is no answer. `path` is relative to the server's address. While
 * `bytes` arrive, `heard` is called with each piece of them.
 */
export type Http = (path: string, body: string | Uint8Array<ArrayBuffer> | null, headers: Record<string, string>, signal: AbortSignal, heard: () => void) => Promise<HttpAnswer>;

/** Events of a socket. */
export interface SocketListener {
  onOpen: () => void;
  onFrame: (text: string) => void;
  /** It ended, or never opened. `code` as RFC 6455 has it; 1006 without one. */
  onClose: (code: number) => void;
}

/** An open socket. */
export interface Socket {
  send: (text: string) => void;
  close: () => void;
}

/** Opens a socket; `path` as for `Http`, `protocols` to be offered. */
export type OpenSocket = (path: string, listener: SocketListener, protocols: readonly string[]) => Socket;

/** Calls `lead` once this tab leads; no other tab leads before its promise has settled. Returns a function that gives up the lead. */
export type Lead = (lead: (ended: AbortSignal) => Promise<void>) => () => void;

/** Runs tasks one after the other, across all tabs: what a task has read is still true when it writes. */
export interface Exclusive {
  run: <T>(task: () => Promise<T>) => Promise<T>;
}

/** Messages between tabs; ids only, never content. */
export interface Channel {
  post: (message: unknown) => void;
  listen: (listener: (message: unknown) => void) => () => void;
  close: () => void;
}

/** The core's whole environment. */
export interface Ports {
  clock: Clock;
  http: Http;
  openSocket: OpenSocket;
  backend: Backend;
  /** How this device is named on the user's other devices; may be empty. */
  deviceName: string;
  lead: Lead;
  exclusive: Exclusive;
  channel: Channel;
  /** Calls back when the network may be available again, or the tab becomes visible; returns a function that ends it. */
  onHint: (listener: () => void) => () => void;
  /** Calls back when another tab runs a newer client, so that this one has to be reloaded; returns a function that ends it. */
  onOutdated: (listener: () => void) => () => void;
  /** Called with bugs of the client or the server, to be logged. */
  onFault: (error: unknown) => void;
}
