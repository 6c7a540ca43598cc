// Files on this device: those to be sent are never evicted; afterwards small pictures stay cached for a while, and everything else is
// deleted.

import { type FileInfo, shapeOf } from "../model/file.ts";
import type { FileId } from "../model/ids.ts";
import { change } from "../store/store.ts";
import type { Account } from "../sync/account.ts";
import { remove } from "../wire/files.ts";

/** Maximum size of a cached picture: bytes. */
export const MAX_PICTURE_BYTES = 4 << 20;
/** Maximum size of all cached pictures: bytes. */
const MAX_CACHE_BYTES = 64 << 20;
/** Age at which a staged file without a message is deleted. */
const STAGED_FOR_MS = 86_400_000;

/** Evicts the least recently viewed pictures until the rest fits. */
export async function evictPictures({ store }: Account): Promise<void> {
  const kept = (await store.files()).filter(({ state }) => state === "kept").sort((one, other) => other.at - one.at);
  let room = MAX_CACHE_BYTES;
  for (const { id, bytes } of kept) {
    room -= bytes;
    if (room < 0) await store.writeOwn(...change.forgetFile(id));
  }
}

/** The server has a message: of its files only small pictures stay here. */
export async function settleFiles({ store, clock }: Account, files: readonly FileInfo[]): Promise<void> {
  for (const file of files) {
    const held = await store.file(file.id);
    if (!held) continue;
    const stays = shapeOf(file) === "picture" && held.bytes <= MAX_PICTURE_BYTES;
    await store.writeOwn(...(stays ? [change.file({ ...held, state: "kept", at: clock.now() })] : change.forgetFile(file.id)));
  }
}

/** Deletes the files of a discarded message here and on the server, which would otherwise delete them after a day. */
export async function dropFiles({ store, caller }: Account, files: readonly FileId[]): Promise<void> {
  for (const id of files) await store.writeOwn(...change.forgetFile(id));
  await Promise.all(files.map((id) => remove(caller, id).catch(() => null)));
}

/** Deletes chosen files that will not be sent. */
export async function sweepFiles(account: Account): Promise<void> {
  const { store, clock } = account;
  const wanted = new Set((await store.outbox()).flatMap(({ files }) => files ?? []));
  const conversations = new Set((await store.conversations()).map(({ wire }) => wire.id));
  for (const { id, state, at, chosen } of await store.files()) {
    // What lies beside a draft stays as long as its conversation.
    const isLeft = chosen ? !conversations.has(chosen.conversation) : clock.now() - at > STAGED_FOR_MS;
    if (state === "staged" && !wanted.has(id) && isLeft) await store.writeOwn(...change.forgetFile(id));
  }
  await evictPictures(account);
}
