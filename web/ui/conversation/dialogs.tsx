// The small dialogs of a conversation: colour, retention, name, and message info.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { attempt, sentenceOf } from "../failure.ts";
import { words } from "../i18n/words.ts";
import type { Article, Conversation, ConversationId, Keep, MessageInfo } from "../../core/index.ts";
import { Button } from "../parts/button.tsx";
import { Actions, Dialog } from "../parts/dialog.tsx";
import { Field } from "../parts/field.tsx";
import { stateWord } from "../parts/send-state.tsx";
import { client, conversationOf, log, people } from "../state.ts";
import { Text } from "../text/text.tsx";
import { Swatch } from "./details.tsx";

/** The colours that are offered; the wire carries any. */
const palette = [
  ["blue", "#bae1ff"],
  ["indigo", "#c9c5ff"],
  ["violet", "#e7c6ff"],
  ["pink", "#ffb3ba"],
  ["orange", "#ffd6a5"],
  ["yellow", "#f6e7a1"],
  ["lime", "#dcf7a8"],
  ["green", "#baffc9"],
  ["turquoise", "#9bf6ff"],
  ["brown", "#d9b99b"],
] as const;

interface Of {
  conversation: Conversation;
  onClose: () => void;
}

/** "Color". */
function ColorDialog({ conversation: c, onClose }: Of): JSX.Element {
  const w = words.value;
  const pick = (color: string): void => {
    onClose();
    void attempt(client().change(c.id, { color }));
  };
  const isIn = palette.some(([, color]) => color === c.color);
  return (
    <Dialog title={w.color} size="small" onClose={onClose}>
      <div class="palette">
        {palette.map(([name, color], i) => (
          <button key={color} autoFocus={isIn ? color === c.color : i === 0} type="button" aria-label={w.colorNames[name]} title={w.colorNames[name]} aria-pressed={color === c.color} onClick={() => pick(color)}>
            <Swatch color={color} />
          </button>
        ))}
      </div>
      <Actions>
        <Button onClick={() => pick("")}>{w.noColor}</Button>
      </Actions>
    </Dialog>
  );
}

const keeps: readonly Keep[] = ["forever", "year", "month", "week", "day"];

/** "Keep messages". */
function KeepDialog({ conversation: c, onClose }: Of): JSX.Element {
  const w = words.value;
  const [chosen, setChosen] = useState(c.keep);
  const save = (): void => {
    onClose();
    void attempt(client().setKeep(c.id, chosen));
  };
  return (
    <Dialog title={w.keepMessages} size="small" onClose={onClose}>
      <p>{w.keepText}</p>
      <fieldset class="radios">
        <legend class="unseen">{w.keepMessages}</legend>
        {keeps.map((keep) => (
          <label key={keep}>
            <input
              type="radio"
              name="keep"
              checked={keep === chosen}
              onChange={() => setChosen(keep)}
            />
            {w.keepFor[keep]}
          </label>
        ))}
      </fieldset>
      <Actions>
        <Button kind="primary" onClick={save}>
          {w.save}
        </Button>
      </Actions>
    </Dialog>
  );
}

/** "Rename". */
function RenameDialog({ conversation: c, onClose }: Of): JSX.Element {
  const w = words.value;
  const [name, setName] = useState(c.name);
  const [wrong, setWrong] = useState<string | null>(null);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const outcome = await client().rename(c.id, name.trim());
    if (outcome.ok) onClose();
    else setWrong(sentenceOf(outcome.failure));
  };
  return (
    <Dialog title={w.rename} size="small" onClose={onClose}>
      <form class="dialog-form" onSubmit={(event) => void submit(event)}>
        <Field label={w.groupName} value={name} maxLength={100} onText={setName} wrong={wrong} autoFocus />
        <Actions>
          <Button kind="primary" submit disabled={name.trim() === ""}>
            {w.save}
          </Button>
        </Actions>
      </form>
    </Dialog>
  );
}

const timeOf = (ms: number): string => `${words.value.format.date(ms)}, ${words.value.format.time(ms)}`;

/** Names, each with the time, if it was reported. */
function Reached({ label, all }: { label: string; all: MessageInfo["seen"] }): JSX.Element {
  return (
    <>
      <dt>{label}</dt>
      <dd>
        {all.length === 0 ? (
          "–"
        ) : (
          <ul>
            {all.map(({ name, at }, i) => (
              <li key={i}>
                <bdi>{name}</bdi> {at !== null && <small>{timeOf(at)}</small>}
              </li>
            ))}
          </ul>
        )}
      </dd>
    </>
  );
}

function InfoRows({ article, info }: { article: Article; info: MessageInfo | null }): JSX.Element {
  const w = words.value;
  const trust = article.own ? null : people.value.get(article.user)?.trust;
  return (
    <dl class="info-rows">
      <dt>{w.from}</dt>
      <dd>
        <bdi>{article.own ? w.you : article.name}</bdi>
        {trust === "verified" && <span class="chip ok">{w.verified}</span>}
        {trust === "seen" && <span class="chip">{w.notVerified}</span>}
        {trust === "changed" && <span class="chip warn">{w.newKeys}</span>}
      </dd>
      <dt>{w.sentAt}</dt>
      <dd>{info ? timeOf(info.at) : article.state && stateWord(article.state)}</dd>
      {info && <InfoOfServer article={article} info={info} />}
    </dl>
  );
}

function InfoOfServer({ article, info }: { article: Article; info: MessageInfo }): JSX.Element {
  const w = words.value;
  const fits = info.fits === null ? w.chainFits.unknown : info.fits ? w.chainFits.yes : w.chainFits.no;
  return (
    <>
      {article.own && (
        <>
          <Reached label={w.deliveredTo} all={info.delivered} />
          <Reached label={w.seenByNames} all={info.seen} />
        </>
      )}
      <dt>{w.signature}</dt>
      <dd>{info.signed ? w.signed : article.own ? w.notSigned : w.notProven(article.name)}</dd>
      <dt>{w.chain}</dt>
      <dd>
        {w.chainNumber(info.seq)} <span class={info.fits === false ? "wrong" : undefined}>{fits}</span>
        {article.trouble === "forked" && !article.own && <span class="wrong">{w.forked(article.name)}</span>}
      </dd>
      <dt>{w.chainHash}</dt>
      <dd class="mono">
        <bdi dir="ltr">{info.chain}</bdi>
      </dd>
    </>
  );
}

/** "Message info". */
export function InfoDialog(props: { id: ConversationId; article: Article; onClose: () => void }): JSX.Element {
  const w = words.value;
  const { id, onClose } = props;
  // Reloaded while the dialog is open, as others receive and see the message.
  const inLog = log.value?.id === id ? log.value.entries.find((one) => one.kind === "article" && one.id === props.article.id) : undefined;
  const article = inLog?.kind === "article" ? inLog : props.article;
  const [info, setInfo] = useState<MessageInfo | null>();
  useEffect(() => {
    void client().info(id, article.id).then(setInfo);
  }, [article]);
  const earlier = info?.versions.slice(0, -1) ?? []; // the last one is the text itself
  return (
    <Dialog title={w.infoTitle} onClose={onClose}>
      {!article.deleted && (
        <div class="info-text">
          <Text text={article.text} mentions={article.mentions} me="" />
        </div>
      )}
      {info !== undefined && <InfoRows article={article} info={info} />}
      {earlier.length > 0 && (
        <section class="info-history">
          <h3>{w.history}</h3>
          {earlier.map((version) => (
            <div key={version.at}>
              <small>
                {w.format.day(version.at, Date.now())}, {w.format.time(version.at)}
              </small>
              <Text text={version.text} mentions={article.mentions} me="" />
            </div>
          ))}
        </section>
      )}
    </Dialog>
  );
}

/** One of the dialogs about a conversation. */
export function ConversationDialog(props: {
  kind: "color" | "keep" | "rename";
  id: ConversationId;
  onClose: () => void;
}): JSX.Element | null {
  const conversation = conversationOf(props.id);
  if (!conversation) return null;
  const of = { conversation, onClose: props.onClose };
  return { color: <ColorDialog {...of} />, keep: <KeepDialog {...of} />, rename: <RenameDialog {...of} /> }[props.kind];
}
