// The button beside the text that opens the picker.

import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { words } from "../i18n/words.ts";
import { EmojiPicker } from "../lazy.ts";
import { IconButton } from "../parts/button.tsx";
import { type Anchor, usePopover } from "../parts/popover.ts";

/** A panel of the top layer beside its anchor, closed by Escape, a press elsewhere, or when the focus goes on. */
function Panel(props: { anchor: Anchor; onTake: (emoji: string) => void; onClose: () => void; onLeave: () => void }): JSX.Element {
  const element = useRef<HTMLDivElement>(null);
  usePopover(element, props.anchor, props.onClose);
  return (
    <div
      ref={element}
      class="menu emoji-panel"
      popover="manual"
      role="dialog"
      aria-label={words.value.emoji}
      onFocusOut={({ currentTarget, relatedTarget }) => {
        if (relatedTarget instanceof Node && !currentTarget.contains(relatedTarget)) props.onLeave();
      }}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        props.onClose();
      }}
    >
      <EmojiPicker onTake={props.onTake} />
    </div>
  );
}

/** The button; calls `onEmoji` with each chosen emoji. */
export function EmojiButton({ onEmoji }: { onEmoji: (emoji: string) => void }): JSX.Element {
  const [anchor, setAnchor] = useState<Anchor | null>(null);
  const button = useRef<HTMLButtonElement>(null);
  return (
    <>
      <IconButton
        inner={button}
        icon="smile"
        label={words.value.emoji}
        aria-haspopup="dialog"
        aria-expanded={anchor !== null}
        onKeyDown={(event) => {
          // The panel takes the focus a moment after it opens.
          if (event.key !== "Escape" || !anchor) return;
          event.stopPropagation();
          setAnchor(null);
        }}
        onClick={() => setAnchor(anchor ? null : (button.current?.getBoundingClientRect() ?? null))}
      />
      {anchor && (
        <Panel
          anchor={anchor}
          onTake={(emoji) => {
            setAnchor(null);
            button.current?.focus();
            onEmoji(emoji);
          }}
          onLeave={() => setAnchor(null)}
          onClose={() => {
            setAnchor(null);
            button.current?.focus();
          }}
        />
      )}
    </>
  );
}
