// Where the person is, as the part of the address behind `#`. It is read once, here; what does not parse is the start.

import { signal } from "@preact/signals";
import { type Invitation, readInvitation } from "../core/index.ts";

/** The sections of the account. */
export const sections = ["profile", "devices", "security", "appearance", "notifications"] as const;
/** One of them. */
export type Section = (typeof sections)[number];

/** A place in the client. */
export type Route =
  | { at: "list" }
  | { at: "conversation"; id: string; message: string | null }
  | { at: "account"; section: Section | null }
  | { at: "verify"; user: string }
  /** Null where the link is not whole. */
  | { at: "invitation"; invitation: Invitation | null };

const ID = /^[0-9a-f]{32}$/;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Reads the fragment of an address. */
export function parseRoute(hash: string): Route {
  const text = hash.replace(/^#/, "");
  if (text.startsWith("invite=")) return { at: "invitation", invitation: readInvitation(text) };
  const [, place, id, message] = /^\/(\w+)(?:\/(\w+))?(?:\/m\/([\w-]+))?$/.exec(text) ?? [];
  if (place === "c" && id && ID.test(id)) return { at: "conversation", id, message: message && UUID.test(message) ? message : null };
  if (place === "verify" && id && ID.test(id)) return { at: "verify", user: id };
  if (place === "account") return { at: "account", section: sections.find((s) => s === id) ?? null };
  return { at: "list" };
}

/** Writes the fragment of a place. */
export function hashOf(route: Route): string {
  switch (route.at) {
    case "list":
      return "#/";
    case "conversation":
      return `#/c/${route.id}${route.message ? `/m/${route.message}` : ""}`;
    case "verify":
      return `#/verify/${route.user}`;
    case "account":
      return route.section ? `#/account/${route.section}` : "#/account";
    case "invitation":
      return `#invite=${encodeURIComponent(route.invitation?.code ?? "")}`;
  }
}

/** The current route. */
export const route = signal<Route>(parseRoute(location.hash));

/** Goes to a place; `replace` leaves no entry in the history, as after an invitation's secret was used. */
export function go(to: Route, replace = false): void {
  if (replace) history.replaceState(null, "", hashOf(to));
  else if (location.hash !== hashOf(to)) history.pushState(null, "", hashOf(to));
  route.value = to;
}

/** Follows the browser's own back and forward, and links. */
export function followAddress(): void {
  addEventListener("popstate", () => {
    route.value = parseRoute(location.hash);
  });
  addEventListener("hashchange", () => {
    route.value = parseRoute(location.hash);
  });
}
