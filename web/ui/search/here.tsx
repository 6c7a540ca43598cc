// The search in one conversation.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { words } from "../i18n/words.ts";
import type { Conversation } from "../../core/index.ts";
import { note } from "../parts/announcer.tsx";
import { Button, IconButton } from "../parts/button.tsx";
import { Icon } from "../parts/icon.tsx";
import { client, log } from "../state.ts";
import { HitRow, useHits } from "./results.tsx";

/** Pages that are fetched at once. */
const PAGES = 10;

/** The field below the head, and what it finds. */
export function SearchHere({ conversation, onClose }: { conversation: Conversation; onClose: () => void }): JSX.Element {
  const w = words.value;
  const [text, setText] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const [round, setRound] = useState(0);
  const [busy, setBusy] = useState(false);
  const found = useHits(text.trim(), conversation.id, round);
  const hasOlder = log.value?.id === conversation.id && log.value.older;
  const fetchOlder = async (): Promise<void> => {
    setBusy(true);
    try {
      for (let page = 0; page < PAGES && log.value?.older; page++) await client().loadOlder(conversation.id);
    } catch {
      note(w.noAnswer);
    }
    setBusy(false);
    setRound(round + 1);
  };
  return (
    <div class="search-here">
      <div class="search-box">
        <Icon name="search" size={18} />
        <input
          type="text"
          aria-label={w.searchHere}
          placeholder={w.searchHere}
          autoComplete="off"
          ref={field}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") {
              event.stopPropagation();
              onClose();
            }
          }}
        />
        <IconButton icon="close" small label={w.close} onClick={onClose} />
      </div>
      {found && (
        <div class="results">
          {found.hits.length === 0 && (
            <div class="nothing" role="status">
              <strong>{w.nothingFound(text)}</strong>
            </div>
          )}
          <ul>
            {found.hits.map((hit) => (
              <HitRow key={hit.message} hit={hit} find={text.trim()} onOpen={() => undefined} />
            ))}
          </ul>
          <div class="results-foot">
            <span>{w.searched(found.searched)}</span>
            {hasOlder && (
              <Button kind="quiet" busy={busy} onClick={() => void fetchOlder()}>
                {w.fetchOlder}
              </Button>
            )}
          </div>
        </div>
      )}
    </div>
  );
}
