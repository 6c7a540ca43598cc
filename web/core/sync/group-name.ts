// A group's name, which is encrypted like its messages.

import { openName } from "../crypto/message.ts";
import { openPublishedName } from "../crypto/published.ts";
import type { ConversationId } from "../model/ids.ts";
import type { Cipher } from "./cipher.ts";

/** A group's name as it was written, which `shownName` makes safe to show; null if it cannot be read. */
export async function groupName(
  cipher: Cipher,
  id: ConversationId,
  wrapped: string,
  displayname: string,
  epochs: readonly { epoch: number; wrapped: string }[],
): Promise<string | null> {
  if (displayname === "") return null;
  for (const { epoch, wrapped: one } of [...epochs].reverse()) {
    try {
      const { body } = await openName({ epoch, secret: await cipher.secret(one) }, () => [], id, displayname);
      return nameOf(body);
    } catch {
      // Of another epoch, or of the published form.
    }
  }
  try {
    return nameOf(await openPublishedName(await cipher.secret(wrapped), displayname));
  } catch {
    return null;
  }
}

function nameOf(json: string): string | null {
  const value: unknown = JSON.parse(json);
  if (typeof value !== "object" || value === null || !("name" in value) || typeof value.name !== "string") return null;
  return value.name;
}
