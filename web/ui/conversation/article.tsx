// One message: its text, what it replies to, its reactions, and its delivery state.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { words } from "../i18n/words.ts";
import { memo } from "../list/memo.ts";
import type { Article as Message, HeldKind } from "../../core/index.ts";
import { Attached } from "../files/attached.tsx";
import { ask, show } from "../overlay.ts";
import { Avatar } from "../parts/avatar.tsx";
import { Button, IconButton } from "../parts/button.tsx";
import { Icon } from "../parts/icon.tsx";
import type { IconName } from "../parts/icon-paths.ts";
import { Menu, MenuButton } from "../parts/menu.tsx";
import type { Anchor } from "../parts/popover.ts";
import { StateIcon, stateWord } from "../parts/send-state.tsx";
import { client, me } from "../state.ts";
import { directionOf } from "../text/direction.ts";
import { isEmojiOnly, plainText } from "../../core/model/markdown.ts";
import { Text } from "../text/text.tsx";
import { unshown } from "../text/unshown.ts";
import { type MessageActions, messageItems, type Place } from "./message-menu.ts";
import { QuickEmoji } from "./quick-emoji.tsx";
import { reload } from "../install.ts";
import { Reactions } from "./reactions.tsx";
import { useTouch } from "./touch.ts";

const FOLD_LINES = 18;
const FOLD_CHARS = 1_200;
const HOUR_MS = 3_600_000;

interface ArticleProps {
  article: Message;
  place: Place;
  /** Shows the delivery state as text: it is the newest own message. */
  newest: boolean;
  /** Just jumped to. */
  target: boolean;
  actions: MessageActions;
  onJump: (id: string) => void;
}

function Body({ article, place }: { article: Message; place: Place }): JSX.Element {
  const w = words.value;
  const lines = article.text.split("\n").length;
  const [folded, setFolded] = useState(lines > FOLD_LINES || article.text.length > FOLD_CHARS);
  const { trouble } = article;
  if (trouble === "waitingForKey" || trouble === "neverReadable") return <Notice icon="lock" text={w[trouble]} />;
  if (trouble === "newerClient") return <Newer />;
  if (article.deleted) return <Notice icon="trash" text={unshown("deleted", article.own, article.name)} />;
  if (article.state === "notSent" && article.text === "" && article.files.length === 0) return <Notice icon="edit" text={w.heldChange} />;
  if (article.text === "" && article.files.length > 0) return <Attached article={article} />;
  if (isEmojiOnly(article.text) && article.files.length === 0) return <p class="large-emoji">{article.text}</p>;
  return (
    <>
      <Attached article={article} />
      <div class={folded ? "fold" : undefined} dir={article.edited ? (directionOf(article.text) ?? undefined) : undefined}>
        <Text text={article.text} mentions={article.mentions} me={me.value.id} />
        {article.edited && " "}
        {article.edited && (
          <button type="button" class="edited" title={w.history} onClick={() => show({ kind: "info", id: place.id, article })}>
            {w.edited}
          </button>
        )}
      </div>
      {folded && (
        <Button kind="quiet" onClick={() => setFolded(false)}>
          {w.showAll(article.text.length)}
        </Button>
      )}
    </>
  );
}

const Notice = ({ icon, text }: { icon: IconName; text: string }): JSX.Element => (
  <p class="notice">
    <Icon name={icon} size={16} />
    {text}
  </p>
);

/** A message that needs a newer client, with a button to get it. */
function Newer(): JSX.Element {
  const w = words.value;
  return (
    <>
      <Notice icon="refresh" text={w.newerClient} />
      <Button kind="quiet" onClick={() => void reload()}>
        {w.reload}
      </Button>
    </>
  );
}

function Trouble({ article, place }: { article: Message; place: Place }): JSX.Element | null {
  const w = words.value;
  if (article.trouble !== "notProven" && article.trouble !== "forked") return null;
  const isForked = article.trouble === "forked";
  const said = isForked ? w.forked(article.own ? place.name : article.name) : w.notProven(article.name);
  const why = (): void => ask({ title: said, text: isForked ? w.forkedWhy : w.notProvenWhy, no: w.close });
  return (
    <p class="trouble">
      <Icon name="shieldWarn" size={16} />
      <span>{said}</span>
      <button type="button" onClick={why}>
        {w.why}
      </button>
    </p>
  );
}

function State({ article, newest, group }: { article: Message; newest: boolean; group: boolean }): JSX.Element {
  const w = words.value;
  const { state } = article;
  const shown = newest || state === "notSent";
  const seers = group && state === "seen" ? article.seenBy : [];
  const isMany = seers.length > 3;
  return (
    <span class="end">
      {article.until !== null && <TimeLeft until={article.until} />}
      <time>{w.format.time(article.at)}</time>
      {state && <span class={`word ${state}${shown && !isMany ? "" : " unseen"}`}>{stateWord(state)}</span>}
      {shown && isMany && <span class="word seen">{w.seenBy(seers.length)}</span>}
      {seers.length > 0 && seers.length <= 3 ? (
        <span class="seers">
          {seers.map((one) => (
            <Avatar key={one.id} of={{ kind: "person", ...one }} size={20} />
          ))}
        </span>
      ) : (
        state && <StateIcon state={state} />
      )}
    </span>
  );
}

function TimeLeft({ until }: { until: number }): JSX.Element {
  const w = words.value;
  const hours = Math.max(1, Math.ceil((until - Date.now()) / HOUR_MS));
  const days = Math.ceil(hours / 24);
  return (
    <span class="left" title={hours < 24 ? w.leftHoursText(hours) : w.leftText(days)}>
      <Icon name="timer" size={14} />
      {hours < 24 ? w.leftHours(hours) : w.leftDays(days)}
    </span>
  );
}

/** Reasons for which a retry would fail again. */
const notRetryable: ReadonlySet<HeldKind> = new Set(["tooLong", "removed", "conflict", "fileTooLarge", "fileGone"]);

function Held({ article, place }: { article: Message; place: Place }): JSX.Element | null {
  const w = words.value;
  const { held } = article;
  if (article.state !== "notSent" || !held) return null;
  const sentence = {
    ended: w.ended(place.name),
    blocksYou: place.kind === "direct" ? w.theyBlock(place.name) : w.heldRemoved,
    tooLong: w.heldTooLong,
    removed: w.heldRemoved,
    cleared: w.heldCleared,
    keysChanged: w.heldKeys,
    stranger: w.stranger,
    noKey: w.heldNoKey,
    epochRefused: w.heldEpoch,
    conflict: w.heldConflict,
    lost: w.heldLost,
    fileTooLarge: me.value.fileLimit === null ? w.fileTooLarge : w.largerThan(w.format.size(me.value.fileLimit)),
    filesFull: w.filesFull,
    serverFull: w.serverFull,
    fileGone: w.fileNotHere,
    other: w.notTaken(held.detail),
  }[held.kind];
  return (
    <p class="held">
      <span>{sentence}</span>
      {!notRetryable.has(held.kind) && (
        <Button kind="quiet" onClick={() => void client().retry(place.id, article.id)}>
          {w.retry}
        </Button>
      )}
      <Button kind="quiet" onClick={() => void client().discard(place.id, article.id)}>
        {w.remove}
      </Button>
    </p>
  );
}

/** What a reply shows of the message that it is about. */
const quoted = ({ deleted, own, name, quote }: NonNullable<Message["reply"]>): string => (deleted ? unshown("deleted", own, name) : plainText(quote));

function DrawArticle(props: ArticleProps): JSX.Element {
  const { article, place, newest, target, actions, onJump } = props;
  const w = words.value;
  const [near, setNear] = useState(false);
  const [sheet, setSheet] = useState<Anchor | null>(null);
  const touch = useTouch(setSheet, article.deleted || !place.writable ? null : () => actions.reply(article));
  const time = w.format.time(article.at);
  const name = w.articleOf(article.own ? w.you : article.name, time);
  const items = () => messageItems(place, article, actions);
  const quick = (close: () => void): JSX.Element | null =>
    article.deleted || !place.writable ? null : (
      <QuickEmoji conversation={place.id} article={article} onDone={close} onMore={() => actions.react(article)} />
    );
  return (
    <article
      id={`m-${article.id}`}
      class={`article${article.own ? " own" : ""}${target ? " target" : ""}`}
      aria-label={article.state ? w.articleOf(name, stateWord(article.state)) : name}
      tabIndex={-1}
      onPointerEnter={() => setNear(true)}
      onPointerLeave={() => setNear(false)}
      onFocusCapture={() => setNear(true)}
      {...touch}
    >
      <div class="content">
        {article.reply && (
          <button type="button" class="quote" onClick={() => article.reply && onJump(article.reply.id)}>
            <b>
              <bdi>{article.reply.own ? words.value.you : article.reply.name}</bdi>
            </b>
            <span dir="auto">{quoted(article.reply)}</span>
          </button>
        )}
        <Body article={article} place={place} />
        <Trouble article={article} place={place} />
        <Reactions conversation={place.id} article={article} />
        <Held article={article} place={place} />
      </div>
      <State article={article} newest={newest} group={place.kind === "group"} />
      <div class="bar">
        {near && !article.deleted && place.writable && (
          <>
            <IconButton icon="smile" small label={w.react} onClick={() => actions.react(article)} />
            <IconButton icon="reply" small label={w.reply} onClick={() => actions.reply(article)} />
          </>
        )}
        <MenuButton icon="more" small label={w.more} items={items} head={quick} />
      </div>
      {sheet && (
        <Menu label={w.more} items={items()} anchor={sheet} head={quick(() => setSheet(null))} onClose={() => setSheet(null)} />
      )}
    </article>
  );
}

/** A message; rendered again only if it is a different object. */
export const Article = memo(DrawArticle);
