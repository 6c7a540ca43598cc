// Six emoji for a quick reaction, above the menu of a message.

import type { JSX } from "preact";
import { words } from "../i18n/words.ts";
import type { Article, ConversationId } from "../../core/index.ts";
import { IconButton } from "../parts/button.tsx";
import { client } from "../state.ts";

const six = ["👍", "❤️", "😂", "🎉", "😮", "🙏"];

/** The row of them. */
export function QuickEmoji(props: {
  conversation: ConversationId;
  article: Article;
  onDone: () => void;
  onMore: () => void;
}): JSX.Element {
  const { conversation, article, onDone, onMore } = props;
  const mine = new Set(article.reactions.filter((r) => r.mine).map((r) => r.emoji));
  return (
    <div class="quick-emoji">
      {six.map((emoji) => (
        <button
          key={emoji}
          type="button"
          aria-pressed={mine.has(emoji)}
          onClick={() => {
            onDone();
            void client().react(conversation, article.id, emoji, !mine.has(emoji));
          }}
        >
          {emoji}
        </button>
      ))}
      <IconButton
        icon="plus"
        label={words.value.emoji}
        onClick={() => {
          onDone();
          onMore();
        }}
      />
    </div>
  );
}
