// Code that is needed only after a login, and not for the first paint: one chunk, which is loaded meanwhile.

export * as own from "../actions/account.ts";
export { befriend } from "../actions/befriend.ts";
export * as files from "../actions/files.ts";
export * as groups from "../actions/conversations.ts";
export { info } from "../actions/info.ts";
export * as invitations from "../actions/invitations.ts";
export * as people from "../actions/people.ts";
export { setPresence } from "../actions/presence.ts";
export * as push from "../actions/push.ts";
export { search } from "../actions/search.ts";
export { sweepFiles } from "../outbox/files.ts";
export { Engine } from "../sync/engine.ts";
export { followExpiry } from "../sync/expire.ts";
export { takeAllShared, takeShared } from "../sync/shared.ts";
export { knowStation } from "../sync/stations.ts";
export { keepVault } from "../sync/vault.ts";
export { signOut as endStation } from "../wire/login.ts";
