// The left column: the user, buttons to start something, the search, requests, and the conversations.

import { signal } from "@preact/signals";
import type { JSX, RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { words } from "../i18n/words.ts";
import type { Conversation } from "../../core/index.ts";
import { SearchResults } from "../lazy.ts";
import { show } from "../overlay.ts";
import { Avatar } from "../parts/avatar.tsx";
import { Button, IconButton } from "../parts/button.tsx";
import { Icon, Mark } from "../parts/icon.tsx";
import { ownDot } from "../presence.ts";
import { go, hashOf } from "../route.ts";
import { conversations, firstSync, me, requests } from "../state.ts";
import { Requests } from "./requests.tsx";
import { Row } from "./row.tsx";

/** Whether hidden conversations are shown; kept while the page lives. */
const unfolded = signal(false);

function Head({ empty }: { empty: boolean }): JSX.Element {
  const w = words.value;
  const self = me.value;
  return (
    <div class="list-head">
      <button
        type="button"
        class="list-me"
        aria-label={w.account}
        title={w.account}
        onClick={() => go({ at: "account", section: matchMedia("(width < 45rem)").matches ? null : "profile" })}
      >
        <Avatar of={{ kind: "person", id: self.id, name: self.name }} size={32} dot={ownDot.value} />
      </button>
      <strong class="cut">
        <bdi>{self.name}</bdi>
      </strong>
      <IconButton icon="group" label={w.newGroup} onClick={() => show({ kind: "newGroup" })} />
      {!empty && (
        <>
          <IconButton icon="invite" label={w.invite} onClick={() => show({ kind: "invite" })} />
          <IconButton icon="write" label={w.newConversation} onClick={() => show({ kind: "newConversation" })} />
        </>
      )}
    </div>
  );
}

/** For an empty list: the two buttons of the header, with an explanation. */
function Nobody(): JSX.Element {
  const w = words.value;
  return (
    <div class="list-nobody">
      <Mark size={44} />
      <h2>{w.nobody}</h2>
      <p>{w.nobodyText}</p>
      <Button kind="primary" icon="invite" onClick={() => show({ kind: "invite" })} autoFocus>
        {w.invite}
      </Button>
      <Button icon="write" onClick={() => show({ kind: "newConversation" })}>
        {w.newConversation}
      </Button>
    </div>
  );
}

function FirstSync(): JSX.Element | null {
  const w = words.value;
  const sync = firstSync.value;
  if (!sync) return null;
  return (
    <div class="list-sync" role="status">
      <strong>{w.firstSync}</strong>
      <progress max={sync.all} value={sync.done} aria-label={w.firstSync} />
      <span>{w.firstSyncText(sync.done, sync.all)}</span>
    </div>
  );
}

/** Moves the focus along the rows; only one of them is in the order of Tab. */
function walk(event: KeyboardEvent, list: HTMLElement): void {
  const rows = [...list.querySelectorAll<HTMLElement>("a.row")];
  const now = rows.indexOf(document.activeElement as HTMLElement);
  if (now < 0 || event.altKey || event.ctrlKey) return;
  const to = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: rows.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  rows[Math.max(0, Math.min(rows.length - 1, to))]?.focus();
}

/** Rows that fit on any screen; the others are rendered when the browser is idle. */
const FIRST_ROWS = 60;
/** The latest time for that, and how many rows at a time, so that no keystroke has to wait. */
const IDLE_MS = 1000;
const MORE_ROWS = 20;

/** How many rows to render now. */
function useCount(all: number): number {
  const [count, setCount] = useState(FIRST_ROWS);
  useEffect(() => {
    if (count >= all) return;
    const more = (): void => setCount(count + MORE_ROWS);
    // Safari has no idle callback.
    if (!("requestIdleCallback" in globalThis)) {
      const timer = setTimeout(more, IDLE_MS / 10);
      return () => clearTimeout(timer);
    }
    const idle = requestIdleCallback(more, { timeout: IDLE_MS });
    return () => cancelIdleCallback(idle);
  }, [count, all > count]);
  return count;
}

/** Returns the focus to the row of a conversation that was closed. */
function useBackToRow(open: string | null, list: RefObject<HTMLElement | null>): void {
  const last = useRef(open);
  useEffect(() => {
    const left = last.current;
    last.current = open;
    if (open !== null || left === null) return;
    list.current?.querySelector<HTMLElement>(`a[href="${hashOf({ at: "conversation", id: left, message: null })}"]`)?.focus();
  }, [open]);
}

const isLast = (c: Conversation | undefined): boolean => c !== undefined && c.id.endsWith("0");

/**
 * The rows in blocks of about 16. For each frame the browser looks at every block, and only at the rows of those in view. Which row
 * is the last of a block depends on its id alone: so a row that moves to the top leaves all other blocks as they are.
 */
function blocksOf(rows: readonly Conversation[]): Conversation[][] {
  const blocks: Conversation[][] = [];
  rows.forEach((c, i) => (i === 0 || isLast(rows[i - 1]) ? blocks.push([c]) : blocks.at(-1)?.push(c)));
  return blocks;
}

// Saved messages may exist only because devices share settings there.
const isListed = (c: Conversation, open: string | null): boolean => c.kind !== "saved" || c.lastState !== null || c.preview !== null || c.draft !== "" || c.id === open;

function Rows({ open }: { open: string | null }): JSX.Element {
  const w = words.value;
  const element = useRef<HTMLDivElement>(null);
  const count = useCount(conversations.value.length);
  useBackToRow(open, element);
  const all = conversations.value.slice(0, count);
  const favorites = all.filter((c) => c.favorite && !c.hidden && isListed(c, open));
  const others = all.filter((c) => !c.favorite && !c.hidden && isListed(c, open));
  const hidden = all.filter((c) => c.hidden);
  const shown = unfolded.value ? hidden : hidden.filter((c) => c.id === open);
  const entry = open ?? (favorites[0] ?? others[0] ?? shown[0])?.id ?? null;
  const block = (rows: readonly Conversation[]): JSX.Element => (
    <div key={isLast(rows.at(-1)) ? rows.at(-1)?.id : "end"} class="row-block" style={{ "--rows": rows.length }}>
      {rows.map((c) => (
        <Row key={c.id} conversation={c} open={c.id === open} inTab={c.id === entry} />
      ))}
    </div>
  );
  return (
    <div ref={element} onKeyDown={(event) => element.current && walk(event, element.current)}>
      <div role="list" aria-label={w.conversations}>
        {favorites.length > 0 && (
          <div class="list-section" aria-hidden="true">
            <Icon name="starFill" size={14} />
            {w.favorites}
          </div>
        )}
        {blocksOf(favorites).map(block)}
        {favorites.length > 0 && others.length > 0 && (
          <div class="list-section" aria-hidden="true">
            {w.conversations}
          </div>
        )}
        {blocksOf(others).map(block)}
      </div>
      {hidden.length > 0 && (
        <button
          type="button"
          class="list-fold"
          aria-expanded={unfolded.value}
          onClick={() => {
            unfolded.value = !unfolded.value;
          }}
        >
          <Icon name={unfolded.value ? "down" : "forward"} size={14} />
          {w.hiddenOnes(hidden.length)}
        </button>
      )}
      {shown.length > 0 && (
        <div role="list" aria-label={w.hiddenOnes(hidden.length)}>
          {blocksOf(shown).map(block)}
        </div>
      )}
    </div>
  );
}

/** The pane of the list. */
export function ListPane({ open }: { open: string | null }): JSX.Element {
  const w = words.value;
  const [text, setText] = useState("");
  const empty = conversations.value.every((c) => c.kind === "saved") && requests.value.length === 0;
  return (
    <div class="list-pane" role={open ? "navigation" : "main"} aria-label={w.conversations}>
      <h1 class="unseen">{w.conversations}</h1>
      <Head empty={empty && firstSync.value === null} />
      <div class="search-box">
        <Icon name="search" size={18} />
        <input
          type="text"
          aria-label={w.search}
          placeholder={w.search}
          autoComplete="off"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape" && text !== "") {
              event.preventDefault();
              setText("");
            }
          }}
        />
        {text ? (
          <IconButton icon="close" small label={w.back} onClick={() => setText("")} />
        ) : (
          <kbd aria-hidden="true">Ctrl K</kbd>
        )}
      </div>
      <div class="list-scroll">
        {text.trim() ? (
          <SearchResults text={text.trim()} onOpen={() => setText("")} />
        ) : (
          <>
            <FirstSync />
            <Requests />
            {empty && firstSync.value === null ? <Nobody /> : null}
            <Rows open={open} />
          </>
        )}
      </div>
    </div>
  );
}
