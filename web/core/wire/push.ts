// srv=chatserver&api=chatlogin: where this station is pushed.

import type { Push } from "./answers.ts";
import { type Caller, done } from "./call.ts";
import { answer, text } from "./decode.ts";

const pushAnswer = answer<Push>()({ pushkey: text, endpoint: text });

/** The server's key for pushes, and where this station is pushed; empty where there is none. */
export const push = (caller: Caller): Promise<ReturnType<typeof pushAnswer>> => caller.call("chatlogin", "push", {}, pushAnswer);

/** From now on. */
export const enablePush = (caller: Caller, endpoint: string): Promise<null> => caller.call("chatlogin", "enablepush", { endpoint }, done);

/** No more. */
export const disablePush = (caller: Caller): Promise<null> => caller.call("chatlogin", "disablepush", {}, done);

/** It woke up, and is about to fetch. */
export const ackPush = (caller: Caller): Promise<null> => caller.call("chatlogin", "ackpush", {}, done);
