// One conversation in the list: a link whose accessible name says everything that is visible.

import type { JSX } from "preact";
import { memo } from "./memo.ts";
import { useRef, useState } from "preact/hooks";
import { conversationItems } from "../conversation/menu.tsx";
import { LONG_PRESS_MS } from "../conversation/touch.ts";
import { words } from "../i18n/words.ts";
import { brief } from "../files/attached.tsx";
import type { Conversation, Person } from "../../core/index.ts";
import { NameHint, nameHint } from "../parts/name-hint.tsx";
import { Menu } from "../parts/menu.tsx";
import { type Anchor, at } from "../parts/popover.ts";
import { colors, css } from "../parts/colors.ts";
import { Icon } from "../parts/icon.tsx";
import { StateIcon } from "../parts/send-state.tsx";
import { hashOf } from "../route.ts";
import { people } from "../state.ts";
import { today } from "../today.ts";
import { plainText } from "../../core/model/markdown.ts";
import { unshown } from "../text/unshown.ts";
import { ConversationAvatar } from "./conversation-avatar.tsx";

/** The second line: who is named before the text, and the text. */
function previewOf(c: Conversation): readonly [by: string, text: string] {
  if (!c.preview) return ["", ""];
  const { own, name, text: written, files, instead } = c.preview;
  // It names its writer itself.
  if (instead === "deleted") return ["", unshown(instead, own, name ?? "")];
  const text = instead ? unshown(instead, own, name ?? "") : written === "" && files ? brief(files) : plainText(written);
  const by = c.kind === "saved" ? "" : own ? words.value.you : c.kind === "group" ? (name ?? "") : "";
  return [by, text];
}

/** Each part has a direction of its own, and begins where the line of the reader's language begins. */
function SecondLine({ conversation: c, other }: { conversation: Conversation; other: Person | undefined }): JSX.Element {
  const w = words.value;
  const isAwaited = other && !other.friend && c.preview === null && c.barrier === null;
  const [by, text] = c.draft ? ["", c.draft] : isAwaited ? ["", w.acceptsAwaited] : previewOf(c);
  return (
    <span class="row-text">
      {c.draft && <b class="row-draft">{w.draft}</b>}
      {by && <span class="row-by cut">{w.by(`\u2068${by}\u2069`, "").trimEnd()}</span>}
      <span class="cut" dir="auto">
        {text}
      </span>
    </span>
  );
}

/** Visual states in words, for screen readers, between the name and the text. */
function spoken(c: Conversation, beside: string): string {
  const w = words.value;
  const parts = [
    c.unread > 0 ? w.unread(c.unread) : "",
    c.favorite ? w.isFavorite : "",
    c.muted ? w.isMuted : "",
    c.barrier?.kind === "keysChanged" ? w.newKeysMark : "",
    beside,
    "",
  ];
  return parts.filter((part, i) => part || i === parts.length - 1).join(", ");
}

/** The name of a conversation; "Saved messages" in the language of the reader. */
export const nameOf = (c: Conversation): string => (c.kind === "saved" ? words.value.saved : c.name);

interface RowProps {
  conversation: Conversation;
  open: boolean;
  inTab: boolean;
}

function DrawRow({ conversation: c, open, inTab }: RowProps): JSX.Element {
  const w = words.value;
  const [menu, setMenu] = useState<Anchor | null>(null);
  const press = useRef(0);
  const shades = colors(c.color);
  const other = c.other ? people.value.get(c.other) : undefined;
  return (
    <div role="listitem">
      <a
        class={`row${open ? " open" : ""}${c.unread > 0 ? " unread" : ""}`}
        href={hashOf({ at: "conversation", id: c.id, message: null })}
        aria-current={open ? "page" : undefined}
        tabIndex={inTab ? 0 : -1}
        draggable={false}
        style={shades ? { "--spine": css(shades.spine) } : {}}
        onContextMenu={(event) => {
          event.preventDefault();
          const box = event.currentTarget.getBoundingClientRect();
          setMenu(event.clientX === 0 && event.clientY === 0 ? box : at(event));
        }}
        onTouchStart={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          press.current = setTimeout(() => setMenu(box), LONG_PRESS_MS);
        }}
        onTouchMove={() => clearTimeout(press.current)}
        onTouchEnd={(event) => {
          clearTimeout(press.current);
          if (menu) event.preventDefault();
        }}
      >
        <ConversationAvatar conversation={c} />
        <span class="row-name">
          <bdi class="cut">{nameOf(c)}</bdi>
          <NameHint of={other} unspoken />
          {c.muted && <Icon name="bellOff" size={14} />}
          {c.barrier?.kind === "keysChanged" && <span class="row-warn"><Icon name="shieldWarn" size={16} /></span>}
        </span>
        <span class="unseen">{spoken(c, nameHint(other))}</span>
        <SecondLine conversation={c} other={other} />
        {c.lastAt > 0 && (
          <time class="row-time">
            <span class="unseen">, </span>
            {w.format.brief(c.lastAt, today.value)}
          </time>
        )}
        <span class="row-end" aria-hidden="true">
          {c.unread > 0 ? (
            <span class={c.muted ? "badge muted" : "badge"}>{c.unread > 99 ? "99+" : w.format.number(c.unread)}</span>
          ) : (
            c.lastState && <StateIcon state={c.lastState} />
          )}
        </span>
      </a>
      {menu && <Menu label={nameOf(c)} items={conversationItems(c)} anchor={menu} onClose={() => setMenu(null)} />}
    </div>
  );
}

/** A row; rendered again only if its conversation is a different object. */
export const Row = memo(DrawRow);
