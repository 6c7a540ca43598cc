// The calls about conversations and people. Each validates the ids that it is given.

import type { Open } from "./actions/context.ts";
import * as messages from "./actions/messages.ts";
import { attempt, notOffered } from "./actions/outcome.ts";
import type { Client } from "./api.ts";
import type { KeptDraft } from "./model/draft.ts";
import { conversationId, fileId, userId } from "./model/ids.ts";

/** Code that is loaded after the first paint. */
export const loadActions = (): Promise<typeof import("./session/lazy-actions.ts")> => import("./session/lazy-actions.ts");

/** The calls that the client implements itself. */
export type Host = Pick<Client, "closeLog" | "loadOlder" | "reveal" | "prepareDraft" | "typing" | "seenUpTo">;

/** The calls about conversations and people. */
export function conversationCalls(session: () => Open, host: Host) {
  const id = conversationId;
  return {
    open: async (of: string) => session().view.log.open(id(of)),
    closeLog: (of: string) => host.closeLog(of),
    loadOlder: (of: string) => host.loadOlder(of),
    reveal: (of: string, message: string) => host.reveal(of, message),
    seenUpTo: (of: string, message: string, isAtEnd?: boolean) => host.seenUpTo(of, message, isAtEnd),
    typing: (of: string) => host.typing(of),
    prepareDraft: (of: string, draft: KeptDraft) => host.prepareDraft(of, draft),
    send: async (of, draft) => {
      const also = draft.files?.length ? await (await loadActions()).files.clearChosen(session(), draft.files) : [];
      return messages.send(session(), id(of), draft, also);
    },
    stage: async (source, about, ended, file) => (await loadActions()).files.stage(session(), source, about, ended, file),
    keepChosen: async (of, file) => (await loadActions()).files.keepChosen(session(), id(of), file),
    chosenFiles: async (of) => (await loadActions()).files.chosenFiles(session(), id(of)),
    unstage: async (file) => (await loadActions()).files.unstage(session(), fileId(file)),
    readFile: async (file, take, hashes = []) => (await loadActions()).files.readFile(session(), file, take, hashes),
    edit: async (of, message, draft) => messages.edit(session(), id(of), message, draft),
    erase: (of, message) =>
      attempt(async () => {
        await messages.erase(session(), id(of), message);
        return null;
      }),
    react: async (of, message, emoji, on) => messages.react(session(), id(of), message, emoji, on),
    retry: async (_of, message) => session().ask({ kind: "retry", message }),
    discard: async (_of, message) => messages.discard(session(), message),
    info: async (of, message) => (await loadActions()).info(session(), id(of), message),
    change: async (of, to) => (await loadActions()).groups.changeSettings(session(), id(of), to),
    setKeep: async (of, keep) => (await loadActions()).groups.setKeep(session(), id(of), keep),
    clear: async (of) => (await loadActions()).groups.clear(session(), id(of)),
    leave: async (of) => (await loadActions()).groups.leave(session(), id(of)),
    rename: async (of, name) => (await loadActions()).groups.rename(session(), id(of), name),
    members: async (of) => (await loadActions()).groups.members(session(), id(of)),
    addMembers: async (of, users, share) => (await loadActions()).groups.addMembers(session(), id(of), users.map(userId), share),
    removeMember: async (of, user) => (await loadActions()).groups.removeMember(session(), id(of), userId(user)),
    setAdmin: async (of, user, admin) => (await loadActions()).groups.setAdmin(session(), id(of), userId(user), admin),
    renewKeys: async (of) => (session().account.session.keys.sign ? (await loadActions()).groups.renewKeys(session(), id(of)) : notOffered),
    saved: async () => (await loadActions()).groups.saved(session()),
    befriend: async (invitation) => (await loadActions()).befriend(session(), invitation),
    request: async (email) => (await loadActions()).people.request(session(), email),
    answer: async ({ kind, id: of }, accept) => (await loadActions()).people.answer(session(), kind, of, accept),
    writeTo: async (user) => (await loadActions()).groups.writeTo(session(), userId(user)),
    createGroup: async (name, users) => (await loadActions()).groups.createGroup(session(), name, users.map(userId)),
    unfriend: async (user) => (await loadActions()).people.unfriend(session(), userId(user)),
    askAgain: async (user) => (await loadActions()).people.askAgain(session(), userId(user)),
    block: async (user, on) => (await loadActions()).people.block(session(), userId(user), on),
    safetyNumber: async (user) => (await loadActions()).people.safetyNumber(session(), userId(user)),
    compareCode: async (user, text) => (await loadActions()).people.compareCode(session(), userId(user), text),
    verify: async (user) => (await loadActions()).people.verify(session(), userId(user)),
    acceptKeys: async (user) => (await loadActions()).people.acceptKeys(session(), userId(user)),
    search: async (text, within) => (await loadActions()).search(session(), text, within === null ? null : id(within)),
  } satisfies Partial<Client>;
}
