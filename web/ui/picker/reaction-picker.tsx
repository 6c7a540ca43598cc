// The picker as a dialog, for a reaction to a message.

import type { JSX } from "preact";
import { words } from "../i18n/words.ts";
import { EmojiPicker } from "../lazy.ts";
import type { Article, ConversationId } from "../../core/index.ts";
import { Dialog } from "../parts/dialog.tsx";
import { client } from "../state.ts";

/** The dialog "React". */
export function ReactionPicker(props: { conversation: ConversationId; article: Article; onClose: () => void }): JSX.Element {
  return (
    <Dialog title={words.value.react} size="small" onClose={props.onClose}>
      <EmojiPicker
        onTake={(emoji) => {
          props.onClose();
          const mine = props.article.reactions.some((r) => r.emoji === emoji && r.mine);
          void client().react(props.conversation, props.article.id, emoji, !mine);
        }}
      />
    </Dialog>
  );
}
