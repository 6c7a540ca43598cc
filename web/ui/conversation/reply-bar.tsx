// The bar above the text field during a reply or an edit.

import type { JSX } from "preact";
import { words } from "../i18n/words.ts";
import { IconButton } from "../parts/button.tsx";
import { plainText } from "../../core/model/markdown.ts";
import type { Composing } from "./draft.ts";

/** Shows the message, and a button to cancel; nothing for a new message. */
export function ReplyBar({ composing, onCancel }: { composing: Composing; onCancel: () => void }): JSX.Element | null {
  const w = words.value;
  if (composing.kind === "new") return null;
  const { article } = composing;
  const edit = composing.kind === "edit";
  return (
    <div class="reply-bar">
      <div class="reply-bar-text">
        <b>{edit ? w.editing : w.replyTo(article.own ? w.you : article.name)}</b>
        <span class="cut" dir="auto">
          {plainText(article.text)}
        </span>
      </div>
      <IconButton icon="close" small label={edit ? w.stopEdit : w.stopReply} onClick={onCancel} />
    </div>
  );
}
