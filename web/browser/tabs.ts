// Several tabs of one browser: one leads, all are notified of changes, and writes are serialized.

import type { Channel, Exclusive, Lead } from "../core/ports.ts";

const LEADER = "parlance leader";
const WRITER = "parlance writer";
const LOOKED_AT = "parlance looked at";

/** Leader election by Web Locks: the browser passes the lock on when the leading tab is closed or crashes. */
export const lead: Lead = (task) => {
  const wanted = new AbortController();
  const ended = new AbortController();
  navigator.locks
    .request(LEADER, { signal: wanted.signal }, async () => {
      if (!wanted.signal.aborted) await task(ended.signal);
    })
    .catch((error: unknown) => {
      if (!wanted.signal.aborted) throw error;
    });
  return () => {
    ended.abort();
    wanted.abort();
  };
};

/** Leads for one task, if no tab leads; otherwise returns null. */
export const leadOnce = <T>(task: () => Promise<T>): Promise<T | null> =>
  navigator.locks.request(LEADER, { ifAvailable: true }, (lock) => (lock ? task() : Promise.resolve(null))) as Promise<T | null>;

/** One writer at a time, whichever tab it is in. */
export const exclusive: Exclusive = {
  run: <T>(task: () => Promise<T>): Promise<T> => navigator.locks.request(WRITER, task) as Promise<T>,
};

/** Holds a lock that all tabs can query while this one is visible and focused; the browser releases it if the tab crashes. */
export function followLooks(): void {
  let end: (() => void) | null = null;
  const look = (): void => {
    const isLookedAt = document.visibilityState === "visible" && document.hasFocus();
    if (isLookedAt === (end !== null)) return;
    end?.();
    end = null;
    if (!isLookedAt) return;
    const held = new Promise<void>((resolve) => {
      end = resolve;
    });
    void navigator.locks.request(LOOKED_AT, { mode: "shared" }, () => held);
  };
  look();
  for (const name of ["focus", "blur", "visibilitychange"]) addEventListener(name, look);
}

/** Whether the user is looking at any tab. */
export const isLookedAt = async (): Promise<boolean> => (await navigator.locks.query()).held?.some(({ name }) => name === LOOKED_AT) ?? false;

/** The channel between tabs. */
export function openChannel(): Channel {
  const channel = new BroadcastChannel("parlance");
  return {
    post: (message) => channel.postMessage(message),
    listen: (listener) => {
      const hear = ({ data }: MessageEvent<unknown>): void => listener(data);
      channel.addEventListener("message", hear);
      return () => channel.removeEventListener("message", hear);
    },
    close: () => channel.close(),
  };
}
