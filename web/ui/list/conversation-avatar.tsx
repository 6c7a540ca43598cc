// The avatar of a conversation: of the other user, of the group, or of saved messages.

import type { JSX } from "preact";
import type { Conversation } from "../../core/index.ts";
import { Avatar } from "../parts/avatar.tsx";
import { dotOf } from "../presence.ts";
import { people } from "../state.ts";

/** The avatar, with the other user's presence. */
export function ConversationAvatar({ conversation: c, size }: { conversation: Conversation; size?: number }): JSX.Element {
  const of = size ? { size } : {};
  if (c.kind === "saved") return <Avatar of={{ kind: "saved" }} {...of} />;
  if (c.kind === "group") return <Avatar of={{ kind: "group", name: c.name, color: c.color }} {...of} />;
  const dot = dotOf(c.other ? people.value.get(c.other) : undefined);
  return <Avatar of={{ kind: "person", id: c.other ?? c.id, name: c.name }} dot={dot} {...of} />;
}
