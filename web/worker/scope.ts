// What a service worker has, as far as it is used: TypeScript's own types for it exclude those of a page.

/** An event whose work is waited for. */
export interface Waits extends Event {
  waitUntil: (work: Promise<unknown>) => void;
}
/** The worker is being installed. */
export interface Install extends Waits {
  /** Says what never passes through here; not in every browser. */
  addRoutes?: (route: { condition: { requestMethod: string }; source: "network" }) => Promise<void>;
}
/** A request of the page. */
export interface Fetch extends Waits {
  request: Request;
  respondWith: (answer: Promise<Response>) => void;
}
/** A window of this client. */
export interface Tab {
  visibilityState: "visible" | "hidden";
  focus: () => Promise<Tab>;
  postMessage: (message: unknown) => void;
}
/** A notification was clicked. */
export interface Click extends Waits {
  notification: { close: () => void; data: unknown };
}
/** The browser has replaced the push subscription. */
export interface Moved extends Waits {
  newSubscription?: PushSubscription | null;
}
interface Scope {
  location: { href: string };
  registration: ServiceWorkerRegistration;
  clients: {
    claim: () => Promise<void>;
    matchAll: (of: { type: "window"; includeUncontrolled: boolean }) => Promise<Tab[]>;
    openWindow: (address: string) => Promise<unknown>;
  };
  skipWaiting: () => Promise<void>;
  addEventListener: ((type: "activate" | "push", listener: (event: Waits) => void) => void) &
    ((type: "install", listener: (event: Install) => void) => void) &
    ((type: "fetch", listener: (event: Fetch) => void) => void) &
    ((type: "message", listener: (event: MessageEvent<unknown>) => void) => void) &
    ((type: "pushsubscriptionchange", listener: (event: Moved) => void) => void) &
    ((type: "notificationclick", listener: (event: Click) => void) => void);
}

/** This worker. */
export const scope = self as unknown as Scope;
