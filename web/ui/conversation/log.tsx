// The log: follows new messages at its end, loads older ones at its top, and keeps the reader's scroll position.

import type { JSX, RefObject } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { words } from "../i18n/words.ts";
import { type Conversation, type Log as LogOf, type MessageId, wordsOf } from "../../core/index.ts";
import { announce } from "../parts/announcer.tsx";
import { colors, css } from "../parts/colors.ts";
import { Icon } from "../parts/icon.tsx";
import { go } from "../route.ts";
import { client, log, people } from "../state.ts";
import { today } from "../today.ts";
import { plainText } from "../../core/model/markdown.ts";
import { askDelete, canEdit, type MessageActions, type Place as MessagePlace } from "./message-menu.ts";
import { RunBlock } from "./run.tsx";
import { scrollToMessage, newestVisible, type Place, placeOf, restore } from "./scroll.ts";
import { SystemLine } from "./system-line.tsx";
import { type Block, blocksOf, firstAfter, newestOwn, type Run } from "./timeline.ts";

const NEAR_TOP_PX = 600;
const TARGET_MS = 1_200;

interface LogProps {
  conversation: Conversation;
  target: string | null;
  actions: MessageActions;
  onLeave: () => void;
}

function Beginning({ conversation: c }: { conversation: Conversation }): JSX.Element {
  const w = words.value;
  const { other } = c;
  const compared = other !== null && people.value.get(other)?.trust === "verified";
  const text = { direct: compared ? w.beginVerified(c.name) : w.begin(c.name), group: w.beginGroup, saved: w.beginSaved }[c.kind];
  return (
    <div class="beginning">
      <Icon name="lock" size={16} />
      <p>{text}</p>
      {other !== null && !compared && (
        <button type="button" onClick={() => go({ at: "verify", user: other })}>
          {w.compare}
        </button>
      )}
    </div>
  );
}

/** The id if the message is in this run, so that other runs are not rendered again because of it. */
const within = ({ articles }: Run, id: string | null): MessageId | null => articles.find((one) => one.id === id)?.id ?? null;

/** Announces messages from others that arrive while the end is in view. */
function useSpeakNew(found: LogOf | null, atEnd: boolean): void {
  const last = useRef<string | null>(null);
  useEffect(() => {
    const newest = found?.entries.at(-1);
    const known = last.current;
    last.current = newest?.id ?? null;
    if (!newest || known === null || newest.id === known || newest.kind !== "article" || newest.own || !atEnd) return;
    announce(words.value.by(newest.name, plainText(wordsOf(newest))));
  }, [found]);
}

/**
 * Before which message the line "New messages" is shown: the first unread one when the log was opened, and later the first one that
 * arrived while the page was hidden or scrolled up. It stays until the log is closed, or the next message arrives like that.
 */
function useNewLine(place: RefObject<Place>): { of: (found: LogOf | null) => MessageId | null; reached: () => void } {
  const line = useRef<MessageId | null>(null);
  const newest = useRef<string | null>(null);
  const isAhead = useRef(false);
  return {
    of: (found) => {
      if (!found) return null;
      line.current ??= found.firstUnread;
      const unseen = document.visibilityState === "hidden" || !place.current.end;
      const fresh = unseen && !isAhead.current ? firstAfter(found.entries, newest.current) : null;
      if (fresh) {
        line.current = fresh;
        isAhead.current = true;
      }
      newest.current = found.entries.at(-1)?.id ?? null;
      return line.current;
    },
    reached: () => {
      isAhead.current = false;
    },
  };
}

/** The keyboard commands of the log: move, edit, reply, react, delete, menu. */
function useLogKeys(props: LogProps): (event: KeyboardEvent) => void {
  return (event) => {
    const box = event.currentTarget as HTMLElement;
    const here = document.activeElement;
    if (!(here instanceof HTMLElement) || !here.matches("article") || event.ctrlKey || event.metaKey || event.altKey) return;
    const all = [...box.querySelectorAll<HTMLElement>("article")];
    const now = all.indexOf(here);
    const found = log.value?.entries.find((entry) => `m-${entry.id}` === here.id);
    const article = found?.kind === "article" ? found : null;
    const may = article !== null && !article.deleted && props.conversation.barrier === null;
    const to = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to !== undefined) {
      if (to >= all.length) props.onLeave();
      else all[Math.max(0, to)]?.focus();
    } else if (event.key === "Escape") props.onLeave();
    else if (event.key === "Enter" || (event.key === "F10" && event.shiftKey)) {
      here.querySelector<HTMLElement>(".bar [aria-haspopup]")?.click();
    } else if (may && event.key === "e" && canEdit(article)) props.actions.edit(article);
    else if (may && event.key === "r") props.actions.reply(article);
    else if (may && event.key === "+") props.actions.react(article);
    else if (may && event.key === "Delete" && article.own) askDelete({ ...props.conversation, writable: may }, article);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
}

/** Whether this is the user's own message, which nobody has received yet, and they are at this page. */
const isJustWritten = (entry: LogOf["entries"][number] | undefined): boolean =>
  entry?.kind === "article" && entry.own && (entry.state === "sending" || entry.state === "sent") && document.hasFocus();

/** The log of the open conversation. */
export function Log(props: LogProps): JSX.Element {
  const { conversation: c, target, actions } = props;
  const w = words.value;
  const box = useRef<HTMLDivElement>(null);
  const place = useRef<Place>({ end: true });
  const height = useRef(0);
  const opened = useRef(false);
  const loading = useRef(false);
  const lastId = useRef<string | null>(null);
  const [pages, setPages] = useState(0);
  const [away, setAway] = useState(false);
  const [lit, setLit] = useState<string | null>(null);
  const found = log.value?.id === c.id ? log.value : null;
  const newLine = useNewLine(place);
  const drawn = useRef<readonly Block[]>([]);
  const blocks = useMemo(() => (drawn.current = blocksOf(found?.entries ?? [], newLine.of(found), drawn.current)), [found]);
  const last = found?.entries.at(-1);
  const newest = newestOwn(found?.entries ?? []);
  const keys = useLogKeys(props);
  useSpeakNew(found, !away);

  const tellSeen = (): void => {
    const seen = box.current && document.visibilityState === "visible" ? newestVisible(box.current) : null;
    if (seen) client().seenUpTo(c.id, seen, place.current.end);
    if (seen && place.current.end) newLine.reached();
  };
  const jumpTo = useRef(async (message: string): Promise<void> => {
    if (!(await client().reveal(c.id, message)) || !box.current) return;
    const row = scrollToMessage(box.current, message);
    row?.focus({ preventScroll: true });
    place.current = placeOf(box.current);
    setLit(message);
    setTimeout(() => setLit(null), TARGET_MS);
  });
  const jump = (message: string): void => void jumpTo.current(message);
  const onJump = useRef(jump).current;
  const where = useMemo(
    (): MessagePlace => ({ id: c.id, kind: c.kind, name: c.name, admin: c.admin, writable: c.barrier === null }),
    [c.id, c.kind, c.name, c.admin, c.barrier === null],
  );
  /** Loads older rows near the top, or if the window is not full. */
  const fill = (): void => {
    const element = box.current;
    const before = log.value;
    if (!element || element.clientHeight === 0 || element.scrollTop >= NEAR_TOP_PX) return;
    if (!opened.current || before?.id !== c.id || !before.older || loading.current) return;
    loading.current = true;
    const end = (): void => {
      loading.current = false;
    };
    void client()
      .loadOlder(c.id)
      // Without a connection, which the bar shows, the next scroll or new message tries again.
      .then(end, end)
      .then(() => {
        // Once it is drawn there may still be room.
        if (log.value !== before) setPages((n) => n + 1);
      });
  };
  const onScroll = (): void => {
    const element = box.current;
    // The content has changed its height since: restores the reader's position.
    if (!element || element.clientHeight !== height.current) return;
    place.current = placeOf(element);
    setAway(element.scrollHeight - element.scrollTop - element.clientHeight > element.clientHeight);
    tellSeen();
    fill();
  };
  useLayoutEffect(() => {
    if (!box.current || !found) return;
    if (!opened.current) {
      opened.current = true;
      const start = box.current.querySelector(".new-line");
      if (start) start.scrollIntoView({ block: "start" });
      else box.current.scrollTop = box.current.scrollHeight;
      place.current = placeOf(box.current);
    } else {
      // Whoever has just written something wants to see it.
      if (last?.id !== lastId.current && isJustWritten(last)) place.current = { end: true };
      restore(box.current, place.current);
    }
    lastId.current = last?.id ?? null;
  }, [blocks]);
  // After it is drawn, which it would delay.
  useEffect(() => {
    if (found) tellSeen();
  }, [blocks]);
  useLayoutEffect(fill, [blocks, pages]);
  useEffect(() => {
    if (target && found) jump(target);
  }, [target, found === null]);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(() => {
      height.current = element.clientHeight;
      restore(element, place.current);
      fill();
    });
    observer.observe(element);
    document.addEventListener("visibilitychange", tellSeen);
    return () => {
      observer.disconnect();
      document.removeEventListener("visibilitychange", tellSeen);
    };
  }, []);
  const shades = colors(c.color);
  return (
    <div class="log-frame">
      <div
        ref={box}
        class="log"
        role="log"
        aria-label={w.messages}
        aria-live="off"
        tabIndex={0}
        style={shades ? { "--own": css(shades.own) } : {}}
        onScroll={onScroll}
        onKeyDown={keys}
      >
        <div class={c.kind === "group" ? "column with-names" : "column"}>
          {found && !found.older && <Beginning conversation={c} />}
          {blocks.map((block) => {
            switch (block.kind) {
              case "day":
                return <div key={block.key} class="day"><span>{w.format.dayLine(block.at, today.value)}</span></div>;
              case "new":
                return <div key={block.key} class="new-line"><span>{w.newMessages}</span></div>;
              case "line":
                return <SystemLine key={block.key} line={block.line} />;
              case "run":
                return (
                  <RunBlock
                    key={block.key}
                    run={block}
                    place={where}
                    newest={within(block, newest)}
                    target={within(block, lit)}
                    actions={actions}
                    onJump={onJump}
                  />
                );
            }
          })}
        </div>
      </div>
      {(away || (c.unread > 0 && !place.current.end)) && (
        <button
          type="button"
          class="to-newest"
          aria-label={w.toNewest}
          title={c.unread > 0 ? w.newCount(c.unread) : w.toNewest}
          onClick={() => {
            if (!box.current) return;
            const line = box.current.querySelector(".new-line");
            const isBelow = line && line.getBoundingClientRect().top > box.current.getBoundingClientRect().bottom;
            if (isBelow) line.scrollIntoView({ block: "start" });
            else box.current.scrollTop = box.current.scrollHeight;
            place.current = placeOf(box.current);
          }}
        >
          {c.unread > 0 && <span aria-hidden="true">{w.newCount(c.unread)}</span>}
          <Icon name="newest" />
        </button>
      )}
    </div>
  );
}
