// The reactions to a message: one pill for each emoji; a click adds or removes the user's own.

import type { JSX } from "preact";
import { words } from "../i18n/words.ts";
import type { Article, ConversationId } from "../../core/index.ts";
import { client } from "../state.ts";

/** The pills below a message. */
export function Reactions({ conversation, article }: { conversation: ConversationId; article: Article }): JSX.Element | null {
  const w = words.value;
  if (article.reactions.length === 0 || article.deleted) return null;
  return (
    <div class="reactions">
      {article.reactions.map(({ emoji, mine, names }) => {
        const count = names.length + (mine ? 1 : 0);
        const all = w.format.list(mine ? [...names, w.andYou] : names);
        return (
          <button
            key={emoji}
            type="button"
            class={mine ? "pill mine" : "pill"}
            aria-pressed={mine}
            aria-label={w.reactionOf(emoji, count, mine, all)}
            title={all}
            onClick={() => void client().react(conversation, article.id, emoji, !mine)}
          >
            <span aria-hidden="true">{emoji}</span>
            {count > 1 && <span aria-hidden="true">{w.format.number(count)}</span>}
          </button>
        );
      })}
    </div>
  );
}
