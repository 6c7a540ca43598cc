// The transcript's chain (docs/transcript.md): two people who hold the same link hold the same messages.

import { type Bytes, concat, fromHex, hex, idBytes, sha256, u64, utf8 } from "./bytes.ts";

/** A message as the chain covers it. */
export interface Link {
  seq: number;
  id: string;
  chain: string;
  /** Of a message whose content is here; else `dataHash`. */
  data: string | null;
  dataHash?: string;
}

/** What the chain of a conversation begins with. */
export const beginning = async (conversation: string, instance: string): Promise<string> =>
  hex(await sha256(idBytes(conversation), utf8(instance)));

/** The link after `chain`. */
export async function nextLink(chain: string, link: Omit<Link, "chain">): Promise<string> {
  const dataHash: Bytes = link.data === null ? fromHex(link.dataHash ?? "", 32) : await sha256(utf8(link.data));
  return hex(await sha256(concat(fromHex(chain, 32), u64(link.seq), idBytes(link.id), dataHash)));
}

/** Follows the chain through these rows; returns the first that does not fit, or null. */
export async function follow(chain: string, links: readonly Link[]): Promise<Link | null> {
  let now = chain;
  for (const link of links) {
    now = await nextLink(now, link);
    if (now !== link.chain) return link;
  }
  return null;
}
