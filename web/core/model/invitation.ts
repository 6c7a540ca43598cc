// The link of an invitation (docs/e2ee.md, Comparing keys): its fragment reaches no server and no log.

import type { Invitation } from "./view.ts";

/** Reads the fragment of an address; null if it is no invitation of a person. */
export function readInvitation(hash: string): Invitation | null {
  const fields = new Map<string, string>();
  for (const part of hash.replace(/^#/, "").split("&")) {
    const [name = "", value] = part.split("=");
    // A part twice could be read in two ways.
    if (value === undefined || fields.has(name)) return null;
    try {
      fields.set(name, decodeURIComponent(value.replaceAll("+", "%20")));
    } catch {
      return null;
    }
  }
  const [code, from, card, secret] = ["invite", "from", "card", "v"].map((name) => fields.get(name) ?? "");
  if (!code || !from || !card || !secret) return null;
  return /^[0-9a-f]{32}$/.test(from) && /^[0-9a-f]{64}$/.test(card) && /^[0-9a-f]{64}$/.test(secret)
    ? { code, from, card, secret }
    : null;
}

/** Writes such a fragment. */
export const writeInvitation = ({ code, from, card, secret }: Invitation): string =>
  `#invite=${encodeURIComponent(code)}&from=${from}&card=${card}&v=${secret}`;
