// What counts as unread.

import type { UserId } from "../model/ids.ts";
import type { WireMessage } from "../wire/conversation.ts";

/** Whether a message counts as unread. */
export const countsAsUnread = (row: WireMessage, me: UserId): boolean => row.Type === "Message" && row.User !== me;
