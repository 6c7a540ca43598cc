// @parlance/client: Parlance for programs. README.md beside it says how to begin.

export type { Changes, Client, IncomingMessage, PushSettings, PushStatus, State } from "./api.ts";
export type { ConversationId, FileId, MessageId, StationId, UserId } from "./model/ids.ts";
export { InvalidId } from "./model/ids.ts";
export type * from "./model/draft.ts";
export type * from "./model/file.ts";
export type * from "./model/saving.ts";
export { padme } from "./crypto/file.ts";
export { MAX_FILES, shapeOf, wordsOf } from "./model/file.ts";
export type * from "./model/exported.ts";
export type * from "./model/view.ts";
export type * from "./model/written.ts";
export type * from "./ports.ts";
export type { Backend } from "./store/backend.ts";
export { readInvitation } from "./model/invitation.ts";
export { startClient } from "./client.ts";
