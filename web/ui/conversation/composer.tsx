// The composer. The text is stored as a draft while it is typed, and cleared only once the message is stored on this device.

import type { JSX, RefObject } from "preact";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { words } from "../i18n/words.ts";
import type { Conversation, UserId } from "../../core/index.ts";
import { Choosers, Shots } from "../files/choosers.tsx";
import { pick, pickedIn } from "../files/chosen.ts";
import { loadPicked, Recorder, Strip } from "../lazy.ts";
import { announce } from "../parts/announcer.tsx";
import { IconButton } from "../parts/button.tsx";
import { Icon } from "../parts/icon.tsx";
import { EmojiButton } from "../picker/emoji-button.tsx";
import { settings } from "../settings.ts";
import { client, me } from "../state.ts";
import { ReplyBar } from "./reply-bar.tsx";
import { type Composing, composingOf, draftOf, useDraft } from "./draft.ts";
import { PendingTexts, type TypedText, FilesNotReady } from "./pending-texts.ts";
import { editable } from "./message-menu.ts";
import { useMentionable } from "./mentionable.ts";
import { insert, loadSuggestions, mentionsIn, type Suggestion, Suggestions, suggestionsAt } from "./suggestions.tsx";

const TYPING_MS = 2_000;
/** Characters that fit into a message's padding and the server's limit. */
const MAX_CHARS = 16_000;
const NEAR_LIMIT = 500;

interface ComposerProps {
  conversation: Conversation;
  composing: Composing;
  onComposing: (to: Composing) => void;
  field: RefObject<HTMLTextAreaElement | null>;
  /** Arrow up in an empty text field. */
  onIntoLog: () => void;
}

/** The length as far as it is shown: whether there is text and, near the limit, how long it is. So most keystrokes render nothing. */
const drawnLength = (length: number): number => (length > MAX_CHARS - NEAR_LIMIT ? length : Math.min(length, 1));

const fitsItself = CSS.supports("field-sizing", "content");

/** Fits the height to the text; Firefox and older Safari do not support `field-sizing`. */
function fit(field: HTMLTextAreaElement): void {
  if (fitsItself) return;
  field.style.setProperty("block-size", "auto");
  field.style.setProperty("block-size", `${field.scrollHeight}px`);
}

/** The composer. */
export function Composer({ conversation: c, composing, onComposing, field, onIntoLog }: ComposerProps): JSX.Element {
  const w = words.value;
  const [length, setLength] = useState(drawnLength(c.draft.length));
  const [suggestions, setSuggestions] = useState<{ all: readonly Suggestion[]; at: number; chosen: number } | null>(null);
  const [busy, setBusy] = useState(false);
  const [recording, setRecording] = useState(false);
  const chosen = pickedIn(c.id);
  const chooser = useRef<HTMLInputElement>(null);
  const camera = useRef<HTMLInputElement>(null);
  const leaving = useMemo(() => new PendingTexts<TypedText>(), []);
  /** What the text will become; and the reply or edit whose text was sent, or is being stored. */
  const now = useRef(composing);
  now.current = composing;
  const used = useRef<Composing | null>(null);
  const toldTyping = useRef(0);
  const draft = useDraft(c.id);
  const mentionable = useMentionable(c);
  /** Users who were picked from the suggestions, by name. */
  const picked = useRef(new Map<string, UserId>());
  /** The text of the new message, kept while another message is being edited. */
  const fresh = useRef(c.draft);
  const begun = useRef<Composing | null>(null);
  const keep = (): void => draft.keep(draftOf(composing, fresh.current, field.current?.value ?? ""));

  const put = (text: string, caret = text.length): void => {
    const box = field.current;
    if (!box) return;
    box.value = text;
    box.setSelectionRange(caret, caret);
    fit(box);
    setLength(drawnLength(text.length));
  };
  useLayoutEffect(() => {
    put(c.draft);
    begun.current = composingOf(c) ?? composing;
    if (begun.current !== composing) onComposing(begun.current);
    if (matchMedia("(pointer: fine)").matches) field.current?.focus({ preventScroll: true });
  }, [c.id]);
  useLayoutEffect(() => {
    if (composing.kind === "edit") {
      put(composing.edited);
      picked.current = new Map(composing.article.mentions);
    }
    // The draft is stored on the device as it is.
    if (begun.current === null) keep();
    else if (begun.current === composing) begun.current = null;
  }, [composing]);
  const wasRecording = useRef(false);
  useLayoutEffect(() => {
    if (wasRecording.current && !recording) field.current?.focus();
    wasRecording.current = recording;
  }, [recording]);

  const cancel = (): void => {
    if (composing.kind === "edit") put(fresh.current);
    onComposing({ kind: "new" });
    field.current?.focus();
  };
  const write = async ({ text, as, picks }: TypedText): Promise<void> => {
    const quoted = as.kind === "reply" ? as.article : null;
    const reply = quoted && { id: quoted.id, user: quoted.user, text: quoted.text };
    const of = as.kind === "edit" || pickedIn(c.id).length === 0 ? null : await loadPicked();
    const files = of ? await of.readyFiles(c.id) : [];
    // A file could not be read: the strip shows that, and the user decides whether to remove it.
    if (!files) throw new FilesNotReady();
    const named = text.includes("@") ? await mentionable.load() : [];
    const sent = { text, reply, mentions: mentionsIn(text, named, picks), files };
    draft.sending();
    if (as.kind === "edit") {
      await client().edit(c.id, as.article.id, sent);
      await (await client().prepareDraft(c.id, { text: fresh.current, target: null }))();
    } else await client().send(c.id, sent);
    of?.sent(c.id, files);
  };
  /** The first pending text is stored: removes it from the text field, and keeps what was typed meanwhile. */
  const written = (box: HTMLTextAreaElement, { as }: TypedText): void => {
    box.setRangeText("", 0, leaving.gone());
    if (as.kind === "edit") box.setRangeText(fresh.current, box.value.length, box.value.length, "end");
    fresh.current = box.value;
    fit(box);
    setLength(drawnLength(box.value.length));
    const isOver = as.kind !== "new" && now.current === as;
    if (box.value === "") draft.forget();
    else draft.keep(draftOf(isOver ? { kind: "new" } : now.current, box.value, box.value));
    if (isOver) onComposing({ kind: "new" });
  };
  const writeAll = async (box: HTMLTextAreaElement): Promise<void> => {
    setBusy(pickedIn(c.id).length > 0);
    try {
      for (let [one] = leaving.waiting; one; [one] = leaving.waiting) {
        await write(one);
        written(box, one);
      }
    } catch (error) {
      used.current = null;
      for (const { picks } of leaving.waiting) picked.current = new Map([...picks, ...picked.current]);
      box.setRangeText(leaving.stay(), 0, 0, "preserve");
      if (now.current.kind !== "edit") fresh.current = box.value;
      draft.keep(draftOf(now.current, fresh.current, box.value));
      if (!(error instanceof FilesNotReady)) announce(w.notSent, true);
    } finally {
      setBusy(false);
    }
  };
  const send = (): void => {
    const box = field.current;
    if (!box) return;
    const raw = leaving.rest(box.value);
    const text = raw.trim();
    const isBusy = leaving.waiting.length > 0;
    // Text that is typed behind a pending reply or edit is a new message.
    const as: Composing = composing === used.current ? { kind: "new" } : composing;
    const isBare = text === "" && (as.kind === "edit" || chosen.length === 0 || isBusy);
    if (isBare || text.length > MAX_CHARS) return;
    if (composing.kind !== "new") used.current = composing;
    leaving.add({ raw, text, as, picks: picked.current });
    picked.current = new Map();
    if (!isBusy) void writeAll(box);
  };
  const suggest = (box: HTMLTextAreaElement): void => {
    const found = suggestionsAt(box.value, box.selectionStart, mentionable.now);
    setSuggestions(found ? { ...found, chosen: 0 } : null);
  };
  const typed = (): void => {
    if (composing.kind !== "edit") fresh.current = field.current?.value ?? "";
    keep();
  };
  const onInput = (): void => {
    const box = field.current;
    if (!box) return;
    leaving.changed(box.value);
    fit(box);
    setLength(drawnLength(box.value.length));
    typed();
    suggest(box);
    if (/[@:]/.test(box.value)) void loadSuggestions(box.value, mentionable).then(() => suggest(box));
    const now = Date.now();
    if (box.value !== "" && now - toldTyping.current > TYPING_MS) {
      toldTyping.current = now;
      client().typing(c.id);
    }
  };
  const take = (suggestion: Suggestion): void => {
    const box = field.current;
    if (!box || !suggestions) return;
    const { text, caret } = insert(box.value, suggestions.at, box.selectionStart, suggestion.text);
    put(text, caret);
    if (suggestion.person) picked.current.set(suggestion.person.name, suggestion.person.id);
    setSuggestions(null);
    typed();
    box.focus();
  };
  const inSuggestions = (event: KeyboardEvent): boolean => {
    if (!suggestions) return false;
    const { all, chosen } = suggestions;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const by = event.key === "ArrowDown" ? 1 : -1;
      setSuggestions({ ...suggestions, chosen: (chosen + by + all.length) % all.length });
    } else if (event.key === "Enter" || event.key === "Tab") {
      const one = all[chosen];
      if (one) take(one);
    } else if (event.key === "Escape") setSuggestions(null);
    else return false;
    return true;
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.isComposing) return;
    const empty = field.current?.value === "";
    const plain = !event.shiftKey && !event.ctrlKey && !event.metaKey && !event.altKey;
    if (inSuggestions(event)) event.preventDefault();
    else if (event.key === "Enter" && ((settings.value.enterSends && plain) || event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      send();
    } else if (event.key === "ArrowUp" && empty && plain) {
      event.preventDefault();
      const mine = composing.kind === "new" ? editable() : null;
      if (mine) onComposing({ kind: "edit", article: mine, edited: mine.text });
      else onIntoLog();
    } else if (event.key === "Escape" && composing.kind !== "new") {
      event.preventDefault();
      cancel();
    } else return;
    event.stopPropagation();
  };
  const over = length - MAX_CHARS;
  const list = suggestions ? `suggestions-${c.id}` : undefined;
  return (
    <div class="composer">
      {suggestions && list && <Suggestions id={list} all={suggestions.all} chosen={suggestions.chosen} onTake={take} />}
      <ReplyBar composing={composing} onCancel={cancel} />
      {chosen.length > 0 && composing.kind !== "edit" && <Strip conversation={c.id} onMore={() => chooser.current?.click()} onOut={() => field.current?.focus()} />}
      <div class="composer-row">
        {recording && <Recorder conversation={c.id} onDone={() => setRecording(false)} />}
        <Choosers conversation={c.id} chooser={chooser} camera={camera} onChosen={() => field.current?.focus()} />
        {!recording && composing.kind !== "edit" && <IconButton icon="attach" label={w.attach} onClick={() => chooser.current?.click()} />}
        <textarea
          ref={field}
          rows={1}
          dir={length > 0 ? "auto" : undefined}
          aria-label={w.message}
          placeholder={w.message}
          enterkeyhint={settings.value.enterSends ? "send" : "enter"}
          autoComplete="off"
          aria-autocomplete="list"
          aria-controls={list}
          aria-activedescendant={suggestions && list ? `${list}-${suggestions.chosen}` : undefined}
          hidden={recording}
          onBeforeInput={() => leaving.replaced(field.current?.selectionStart ?? 0)}
          onInput={onInput}
          onKeyDown={onKeyDown}
          onPaste={(event) => {
            const files = [...(event.clipboardData?.files ?? [])];
            if (files.length === 0 || composing.kind === "edit") return;
            event.preventDefault();
            void pick(c.id, files);
          }}
          onBlur={() => setSuggestions(null)}
        />
        {!recording && (
          <EmojiButton
            onEmoji={(emoji) => {
              const box = field.current;
              if (!box) return;
              const { text, caret } = insert(box.value, box.selectionStart, box.selectionEnd, emoji);
              put(text, caret);
              typed();
            }}
          />
        )}
        {length > 0 || (chosen.length > 0 && composing.kind !== "edit") ? (
          <IconButton icon={composing.kind === "edit" ? "check" : "send"} primary label={w.send} disabled={over > 0} aria-disabled={busy} onClick={send} />
        ) : (
          !recording && composing.kind === "new" && me.value.fileLimit !== 0 && <Shots onCamera={() => camera.current?.click()} onVoice={() => setRecording(true)} />
        )}
      </div>
      {over > -NEAR_LIMIT && (
        <p class={over > 0 ? "count over" : "count"} role="status">
          {over > 0 ? (
            <>
              <Icon name="failed" size={14} />
              {w.tooLong(over)}
            </>
          ) : (
            w.format.number(-over)
          )}
        </p>
      )}
    </div>
  );
}
