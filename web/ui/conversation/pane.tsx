// The pane of a conversation: header, log, barrier or composer, and details.

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useDrop } from "../files/drop.ts";
import { ConversationAvatar } from "../list/conversation-avatar.tsx";
import { nameOf } from "../list/row.tsx";
import { words } from "../i18n/words.ts";
import { Barrier, Details, SearchHere } from "../lazy.ts";
import type { Article, Conversation } from "../../core/index.ts";
import { NameHint } from "../parts/name-hint.tsx";
import { Button, IconButton } from "../parts/button.tsx";
import { Icon } from "../parts/icon.tsx";
import { MenuButton } from "../parts/menu.tsx";
import { ReactionPicker } from "../picker/reaction-picker.tsx";
import { dotOf, isKnown } from "../presence.ts";
import { go } from "../route.ts";
import { client, conversations, people, writing } from "../state.ts";
import { Composer } from "./composer.tsx";
import { type Composing, inWords } from "./draft.ts";
import { closeOver, detailsOpen, openDetails } from "./details-open.ts";
import { Log } from "./log.tsx";
import { conversationItems } from "./menu.tsx";
import { NotifyQuestion } from "./notify-question.tsx";

/** The line below the name. */
export function subtitle(c: Conversation): string {
  const w = words.value;
  if (c.kind === "saved") return "";
  if (c.kind === "group") {
    return c.availableCount > 0 && isKnown.value ? `${w.memberCount(c.memberCount)} · ${w.hereNow(c.availableCount)}` : w.memberCount(c.memberCount);
  }
  const other = c.other ? people.value.get(c.other) : undefined;
  if (!other) return "";
  if (other.left) return w.accountDeleted;
  const dot = dotOf(other);
  return dot ? w[dot] : "";
}

interface HeadProps {
  conversation: Conversation;
  searching: boolean;
  onSearch: () => void;
}

function Head({ conversation: c, searching, onSearch }: HeadProps): JSX.Element {
  const w = words.value;
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    // On touch devices, where focusing the composer would open the keyboard over the messages.
    if (matchMedia("(pointer: coarse)").matches) title.current?.focus({ preventScroll: true });
  }, [c.id]);
  const other = c.other ? people.value.get(c.other) : undefined;
  const details = detailsOpen();
  return (
    <header class="pane-head">
      <span class="only-phone">
        <IconButton icon="back" label={w.back} onClick={() => go({ at: "list" })} />
      </span>
      <button type="button" class="pane-title" onClick={() => openDetails(!details)}>
        <ConversationAvatar conversation={c} size={32} />
        <span class="pane-names">
          <span class="pane-name">
            <bdi class="cut">{nameOf(c)}</bdi>
            {!other?.left && <NameHint of={other} />}
            {other?.trust === "verified" && <Icon name="seal" size={18} />}
          </span>
          <small class="cut">{subtitle(c)}</small>
        </span>
        <span class="unseen">{w.details}</span>
      </button>
      <h1 ref={title} class="unseen" tabIndex={-1}>
        {nameOf(c)}
      </h1>
      <IconButton icon="search" label={w.searchHere} pressed={searching} onClick={onSearch} />
      <span class="not-phone">
        <IconButton icon="details" label={w.details} pressed={details} onClick={() => openDetails(!details)} />
      </span>
      <MenuButton icon="more" label={w.conversationMenu} items={() => conversationItems(c)} />
    </header>
  );
}

/** Who is typing; the line always takes its space, so that nothing moves. */
function Writing({ id }: { id: string }): JSX.Element {
  const names = writing.value.get(id) ?? [];
  return <div class="writing">{names.length > 0 && words.value.writes(names)}</div>;
}

/** Shown for a conversation that does not exist here: the URL is old, or it was removed on another device. */
function NotHere(): JSX.Element {
  const w = words.value;
  return (
    <main class="none-open">
      <p>{w.notHere}</p>
      <Button onClick={() => go({ at: "list" })}>{w.back}</Button>
    </main>
  );
}

/** The pane of one conversation. */
export function ConversationPane({ id, target }: { id: string; target: string | null }): JSX.Element {
  const w = words.value;
  const c = conversations.value.find((one) => one.id === id);
  const [composing, setComposing] = useState<Composing>({ kind: "new" });
  const [reacting, setReacting] = useState<Article | null>(null);
  const [searching, setSearching] = useState(false);
  const [dropping, drop] = useDrop(id);
  const field = useRef<HTMLTextAreaElement>(null);
  const frame = useRef<HTMLElement>(null);
  useEffect(() => {
    closeOver();
    void client().open(id);
    return () => client().closeLog(id);
  }, [id]);
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "f" || event.shiftKey) return;
      event.preventDefault();
      setSearching(true);
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);
  const actions = useMemo(() => {
    const compose = (to: Composing): void => {
      setComposing(to);
      field.current?.focus();
    };
    return {
      reply: (article: Article) => compose({ kind: "reply", article: inWords(article) }),
      edit: (article: Article) => compose({ kind: "edit", article, edited: article.text }),
      react: setReacting,
    };
  }, []);
  if (!c) return <NotHere />;
  const focus = (): void => field.current?.focus();
  const intoLog = (): void => {
    const all = frame.current?.querySelectorAll<HTMLElement>("article");
    all?.[all.length - 1]?.focus();
  };
  return (
    <div class={detailsOpen() ? "conversation with-details" : "conversation"}>
      <main
        ref={frame}
        class={dropping ? "conversation-main dropping" : "conversation-main"}
        data-drop={w.dropHere}
        aria-label={nameOf(c)}
        {...(c.barrier === null && drop)}
      >
        <Head conversation={c} searching={searching} onSearch={() => setSearching(!searching)} />
        {searching && <SearchHere conversation={c} onClose={() => setSearching(false)} />}
        <Log conversation={c} target={target} actions={actions} onLeave={focus} />
        <div class="foot">
          <Writing id={c.id} />
          <Barrier conversation={c} />
          {c.barrier === null && (
            <>
              <NotifyQuestion conversation={c} />
              <Composer
                conversation={c}
                composing={composing}
                onComposing={setComposing}
                field={field}
                onIntoLog={intoLog}
              />
            </>
          )}
        </div>
      </main>
      {detailsOpen() && <Details conversation={c} />}
      {reacting && <ReactionPicker conversation={c.id} article={reacting} onClose={() => setReacting(null)} />}
    </div>
  );
}
