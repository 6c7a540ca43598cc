// The link of an invitation (docs/e2ee.md, Comparing keys). Browsers do not send its fragment to any server.

import { shownName } from "./name.ts";
import type { Invitation } from "./view.ts";

/** Reads the fragment of a URL; null if it is no complete invitation. One that the server printed has a code only. */
export function readInvitation(hash: string): Invitation | null {
  const fields = new Map<string, string>();
  for (const part of hash.replace(/^#/, "").split("&")) {
    const [name = "", value] = part.split("=");
    // A repeated part would be ambiguous.
    if (value === undefined || fields.has(name)) return null;
    try {
      fields.set(name, decodeURIComponent(value.replaceAll("+", "%20")));
    } catch {
      return null;
    }
  }
  const [code, from, card, secret, name] = ["invite", "from", "card", "v", "name"].map((field) => fields.get(field) ?? "");
  if (code === undefined || !fields.has("invite")) return null;
  if (!["from", "card", "v"].some((field) => fields.has(field))) return { code, from: "", card: "", secret: "", name: "" };
  if (!code || !from || !card || !secret) return null;
  return /^[0-9a-f]{32}$/.test(from) && /^[0-9a-f]{64}$/.test(card) && /^[0-9a-f]{64}$/.test(secret)
    ? { code, from, card, secret, name: shownName(name ?? "") }
    : null;
}

/** Encodes such a fragment. */
export const writeInvitation = ({ code, from, card, secret, name }: Invitation): string =>
  `#invite=${encodeURIComponent(code)}&from=${from}&card=${card}&v=${secret}&name=${encodeURIComponent(shownName(name))}`;
