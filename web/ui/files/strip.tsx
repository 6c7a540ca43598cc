// The files of the message that is being written: thumbnails and names above the text field, each with a button to remove it.

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { words } from "../i18n/words.ts";
import type { ConversationId } from "../../core/index.ts";
import { Icon } from "../parts/icon.tsx";
import { FileName } from "./file-row.tsx";
import { me } from "../state.ts";
import { type Picked, pickedIn } from "./chosen.ts";
import { setOriginal, unpick } from "./picked.ts";
import { mayNamePlace } from "./types.ts";

function One({ one, onOut }: { one: Picked; onOut: () => void }): JSX.Element {
  const w = words.value;
  const item = useRef<HTMLLIElement>(null);
  const isWrong = one.state !== "ready" && one.state !== "preparing";
  useEffect(() => {
    // Among many it would have to be looked for.
    if (isWrong) item.current?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [isWrong]);
  return (
    <li ref={item} class={`chosen ${one.state}`}>
      {one.url ? (
        <img src={one.url} alt={one.name} />
      ) : (
        <span class="chosen-file">
          <Icon name={one.isPicture ? "image" : "file"} />
          <FileName name={one.name} />
        </span>
      )}
      {one.state !== "ready" && <span class="chosen-state">{w.chosenState[one.state]}</span>}
      <button type="button" class="chosen-out" aria-label={w.removeNamed(one.name)} title={w.removeNamed(one.name)} onClick={onOut}>
        <Icon name="close" size={16} />
      </button>
    </li>
  );
}

/** More names would not fit into a line. */
const MAX_NAMES = 2;
/** From this number on they can be taken out together. */
const MANY = 4;

/** The strip; nothing where nothing is chosen. */
export function Strip({ conversation, onMore, onOut }: { conversation: ConversationId; onMore: () => void; onOut: () => void }): JSX.Element | null {
  const w = words.value;
  const all = pickedIn(conversation);
  if (all.length === 0) return null;
  const pictures = all.filter((one) => one.isPicture);
  const original = pictures.some((one) => one.original);
  // These keep their location metadata, as it is removed from pictures only; whether it could be is known when they are prepared.
  const isKept = (one: Picked): boolean => !one.isPicture && one.state !== "preparing" && mayNamePlace(one);
  const kept = all.filter(isKept);
  const stays = kept.length > 0;
  const staysInAll = all.every((one) => (one.isPicture ? original : isKept(one)));
  const isNamed = !original && kept.length <= MAX_NAMES;
  const place = staysInAll ? w.place.stays : !stays && !original ? w.place.removed : isNamed ? w.place.removedBut(w.format.list(kept.map(({ name }) => name))) : w.place.staysInSome;
  const limit = me.value.fileLimit;
  // Lost files have no content that could be sent.
  const here = all.filter(({ state }) => state !== "lost");
  const shape = here.every((one) => one.isPicture) ? "picture" : "document";
  const take = (out: readonly Picked[]): void => {
    for (const { key } of out) unpick(conversation, key);
    onOut();
  };
  return (
    <div class="strip">
      <ul aria-label={w.chosen}>
        {all.map((one) => (
          <One key={one.key} one={one} onOut={() => take([one])} />
        ))}
        <li>
          <button type="button" class="chosen-more" aria-label={w.addMore} title={w.addMore} onClick={onMore}>
            <Icon name="plus" />
          </button>
        </li>
      </ul>
      <div class="strip-note">
        {limit !== null && all.some(({ state }) => state === "tooLarge") && <strong>{w.largerThan(w.format.size(limit))}</strong>}
        {here.length > 0 && <span>{w.filesSize(w.filesBrief[shape](here.length), w.format.size(here.reduce((sum, { size }) => sum + size, 0)))}</span>}
        {(stays || pictures.length > 0) && <span>{place}</span>}
        {pictures.length > 0 && pictures.every(({ source }) => source) && (
          <button type="button" onClick={() => setOriginal(conversation, !original)}>
            {original ? w.removePlace : w.sendOriginals}
          </button>
        )}
        {all.length >= MANY && (
          <button type="button" onClick={() => take(all)}>
            {w.removeAll}
          </button>
        )}
      </div>
    </div>
  );
}
