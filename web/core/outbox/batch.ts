// How the queue of a conversation is prepared: several messages at a time, while earlier ones are being sent.

import type { FileInfo } from "../model/file.ts";
import type { Outgoing, OutgoingRecord, SealedRecord } from "../store/records.ts";
import type { Caller } from "../wire/call.ts";
import { prepareAdd } from "../wire/conversation.ts";

/** A message that is sealed. */
export type Sealed = Outgoing & { sealed: SealedRecord };

/** Messages that are sealed at once. */
const BATCH = 8;

/** Messages that are prepared together: all of them sealed before, or none; one with files is alone. */
export type Batch = readonly [Outgoing, ...Outgoing[]];

/** One that can be sent. */
export interface Ready extends Sealed {
  contents: readonly FileInfo[];
  /** It was sealed before this run: it may have been sent, too. */
  isKnown: boolean;
  request: ReturnType<typeof prepareAdd>;
}

/** Begins to sign what stores a message. */
export function requestOf(caller: Caller, { conversation, id, files = [], sealed }: OutgoingRecord & Pick<Sealed, "sealed">): Ready["request"] {
  const request = prepareAdd(caller, { conversationid: conversation, instance: sealed.instance }, { id, ...sealed, files });
  // It is awaited when its turn comes.
  request.catch(() => undefined);
  return request;
}

export const isSealed = (one: Outgoing): one is Sealed => one.sealed !== null;

/** The first message is a batch of its own, so that it is sent without waiting for others. */
export function batchesOf(waiting: readonly Outgoing[]): Batch[] {
  const batches: [Outgoing, ...Outgoing[]][] = [];
  for (const one of waiting) {
    const last = batches.length > 1 ? batches.at(-1) : undefined;
    const fits = last && last.length < BATCH && !one.files && !last[0].files && isSealed(one) === isSealed(last[0]);
    if (fits) last.push(one);
    else batches.push([one]);
  }
  return batches;
}
