// srv=chatserver&api=chatlogin: the push subscription of this station.

import type { Push } from "./answers.ts";
import { type Caller, done } from "./call.ts";
import { answer, text } from "./decode.ts";

const pushAnswer = answer<Push>()({ pushkey: text, endpoint: text });

/** The server's push key, and this station's endpoint; empty if there is none. */
export const push = (caller: Caller): Promise<ReturnType<typeof pushAnswer>> => caller.call("chatlogin", "push", {}, pushAnswer);

/** Enables push messages to this endpoint. */
export const enablePush = (caller: Caller, endpoint: string): Promise<null> => caller.call("chatlogin", "enablepush", { endpoint }, done);

/** Disables them. */
export const disablePush = (caller: Caller): Promise<null> => caller.call("chatlogin", "disablepush", {}, done);

/** Acknowledges a push message, before fetching. */
export const ackPush = (caller: Caller): Promise<null> => caller.call("chatlogin", "ackpush", {}, done);
