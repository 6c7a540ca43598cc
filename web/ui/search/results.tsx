// What a search finds: conversations and people by name, and messages on this device.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { words } from "../i18n/words.ts";
import { ConversationAvatar } from "../list/conversation-avatar.tsx";
import { nameOf } from "../list/row.tsx";
import type { Conversation, ConversationId, Hit } from "../../core/index.ts";
import { Avatar } from "../parts/avatar.tsx";
import { go, hashOf } from "../route.ts";
import { client, conversations } from "../state.ts";
import { plainText } from "../../core/model/markdown.ts";
import { Marked } from "../text/text.tsx";

const PAUSE_MS = 120;
const AROUND = 40;

/** Without marks on letters, so that "agnes" finds "Ágnes". */
export const folded = (text: string): string => text.normalize("NFD").replace(/\p{M}/gu, "").toLocaleLowerCase();

/** The conversations in whose name each typed word begins a word, or stands somewhere. */
export function byName(text: string): Conversation[] {
  const typed = folded(text).split(/\s+/).filter(Boolean);
  return conversations.value.filter((c) => {
    const name = folded(nameOf(c));
    return typed.every((word) => name.includes(word));
  });
}

/** The part of a message around what was found. */
export function around(text: string, find: string): string {
  const plain = plainText(text);
  const at = plain.toLocaleLowerCase().indexOf(find.toLocaleLowerCase());
  return at <= AROUND ? plain : `… ${plain.slice(at - AROUND)}`;
}

/** Searches the messages, a moment after the last letter, and again with each `round`. What was found stays until there is more. */
export function useHits(text: string, within: ConversationId | null, round = 0): { hits: readonly Hit[]; searched: number } | null {
  const [found, setFound] = useState<{ hits: readonly Hit[]; searched: number } | null>(null);
  useEffect(() => {
    let current = true;
    if (text.length < 2) setFound(null);
    const timer = setTimeout(() => {
      if (text.length < 2) return;
      void client()
        .search(text, within)
        .then((result) => {
          if (current) setFound(result);
        });
    }, PAUSE_MS);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [text, within, round]);
  return found;
}

/** Who wrote it, where and when; a conversation of two has the name of one of them. */
function placeOf({ name, where, at }: Hit): string {
  const w = words.value;
  const day = w.format.day(at, Date.now());
  return where === name ? `${name} · ${day}` : w.where(name, where || w.saved, day);
}

/** A found message as a link to it. */
export function HitRow({ hit, find, onOpen }: { hit: Hit; find: string; onOpen: () => void }): JSX.Element {
  return (
    <li>
      <a
        class="hit"
        href={hashOf({ at: "conversation", id: hit.conversation, message: hit.message })}
        onClick={(event) => {
          event.preventDefault();
          go({ at: "conversation", id: hit.conversation, message: hit.message });
          onOpen();
        }}
      >
        <Avatar of={{ kind: "person", id: hit.user, name: hit.name }} size={32} />
        <span class="hit-text">
          <span class="cut" dir="auto">
            <Marked text={around(hit.text, find)} find={find} />
          </span>
          <small class="cut">{placeOf(hit)}</small>
        </span>
      </a>
    </li>
  );
}

/** The results in place of the list. */
export function SearchResults({ text, onOpen }: { text: string; onOpen: () => void }): JSX.Element {
  const w = words.value;
  const named = byName(text);
  const found = useHits(text, null);
  return (
    <div class="results">
      {named.length > 0 && <h2>{w.people}</h2>}
      <ul>
        {named.map((c) => (
          <li key={c.id}>
            <a class="hit" href={hashOf({ at: "conversation", id: c.id, message: null })} onClick={onOpen}>
              <ConversationAvatar conversation={c} size={32} />
              <span class="cut">
                <Marked text={nameOf(c)} find={text} />
              </span>
            </a>
          </li>
        ))}
      </ul>
      {found && found.hits.length > 0 && <h2>{w.messagesHere}</h2>}
      <ul>
        {found?.hits.map((hit) => (
          <HitRow key={hit.message} hit={hit} find={text} onOpen={onOpen} />
        ))}
      </ul>
      {found && found.hits.length === 0 && named.length === 0 && (
        <div class="nothing" role="status">
          <strong>{w.nothingFound(text)}</strong>
          <p>{w.searched(found.searched)}</p>
        </div>
      )}
    </div>
  );
}
