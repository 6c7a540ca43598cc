// Where one writes. What is typed is kept as a draft; it leaves the box only when it lies safely on this device.

import type { JSX, RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { words } from "../i18n/words.ts";
import type { Article, Conversation, UserId } from "../../core/index.ts";
import { Choosers, Shots } from "../files/choosers.tsx";
import { pick, pickedIn } from "../files/chosen.ts";
import { loadPicked, Recorder, Strip } from "../later.ts";
import { announce } from "../parts/announcer.tsx";
import { IconButton } from "../parts/button.tsx";
import { Icon } from "../parts/icon.tsx";
import { EmojiButton } from "../picker/emoji-button.tsx";
import { settings } from "../settings.ts";
import { client, log } from "../state.ts";
import { plainText } from "../../core/model/markdown.ts";
import { type Composing, composingOf, draftOf, useDraft } from "./draft.ts";
import { canEdit } from "./message-menu.ts";
import { useMentionable } from "./mentionable.ts";
import { insert, mentionsIn, type Suggestion, Suggestions, suggestionsAt } from "./suggestions.tsx";

const TYPING_MS = 2_000;
const EDIT_WINDOW_MS = 15 * 60_000;
/** What fits into a message's padding and the server's limit, in characters. */
const MAX_CHARS = 16_000;
const NEAR_LIMIT = 500;

interface ComposerProps {
  conversation: Conversation;
  composing: Composing;
  onComposing: (to: Composing) => void;
  field: RefObject<HTMLTextAreaElement | null>;
  /** The key up in an empty box. */
  onIntoLog: () => void;
}

/** What of a text's length is drawn: whether there is one, and near the limit how long it is. So most keys draw nothing anew. */
const drawnLength = (length: number): number => (length > MAX_CHARS - NEAR_LIMIT ? length : Math.min(length, 1));

const fitsItself = CSS.supports("field-sizing", "content");

/** As high as its text, up to what the styles allow; Firefox and older Safari do not do that by themselves. */
function fit(field: HTMLTextAreaElement): void {
  if (fitsItself) return;
  field.style.setProperty("block-size", "auto");
  field.style.setProperty("block-size", `${field.scrollHeight}px`);
}

function Above({ composing, onCancel }: { composing: Composing; onCancel: () => void }): JSX.Element | null {
  const w = words.value;
  if (composing.kind === "new") return null;
  const { article } = composing;
  const edit = composing.kind === "edit";
  return (
    <div class="above">
      <div class="above-text">
        <b>{edit ? w.editing : w.replyTo(article.own ? w.you : article.name)}</b>
        <span class="cut" dir="auto">
          {plainText(article.text)}
        </span>
      </div>
      <IconButton icon="close" small label={edit ? w.stopEdit : w.stopReply} onClick={onCancel} />
    </div>
  );
}

/** The newest message of one's own, if it may still be edited by the key up. */
function editable(): Article | null {
  for (const entry of [...(log.value?.entries ?? [])].reverse()) {
    if (entry.kind !== "article" || !entry.own) continue;
    return canEdit(entry) && Date.now() - entry.at < EDIT_WINDOW_MS ? entry : null;
  }
  return null;
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
  const sending = useRef(false);
  const toldTyping = useRef(0);
  const draft = useDraft(c.id);
  const mentionable = useMentionable(c);
  /** Who was picked from the offers, by name. */
  const picked = useRef(new Map<string, UserId>());
  /** The text of the new message, also while another one is edited. */
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
    // What was begun before lies on the device as it is.
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
  const send = async (): Promise<void> => {
    const box = field.current;
    const text = box?.value.trim() ?? "";
    const isEdit = composing.kind === "edit";
    if (!box || (text === "" && (isEdit || chosen.length === 0)) || text.length > MAX_CHARS || sending.current) return;
    sending.current = true;
    setBusy(chosen.length > 0);
    const quoted = composing.kind === "reply" ? composing.article : null;
    const reply = quoted && { id: quoted.id, user: quoted.user, text: quoted.text };
    const before = box.value;
    try {
      const of = isEdit || chosen.length === 0 ? null : await loadPicked();
      const files = of ? await of.readyFiles(c.id) : [];
      // One could not be read: it says so, and is taken out, or not.
      if (!files) return;
      const named = text.includes("@") ? await mentionable.load() : [];
      const sent = { text, reply, mentions: mentionsIn(text, named, picked.current), files };
      draft.sending();
      if (composing.kind === "edit") {
        await client().edit(c.id, composing.article.id, sent);
        await (await client().prepareDraft(c.id, { text: fresh.current, target: null }))();
      } else await client().send(c.id, sent);
      of?.sent(c.id, files);
      if (composing.kind === "edit") put(fresh.current);
      else if (box.value === before) {
        put("");
        fresh.current = "";
        draft.forget();
      }
      picked.current = new Map();
      if (composing.kind !== "new") onComposing({ kind: "new" });
    } catch {
      keep();
      announce(w.notSent, true);
    } finally {
      sending.current = false;
      setBusy(false);
    }
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
    fit(box);
    setLength(drawnLength(box.value.length));
    typed();
    suggest(box);
    if (box.value.includes("@")) void mentionable.load().then(() => suggest(box));
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
      void send();
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
      <Above composing={composing} onCancel={cancel} />
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
          <IconButton icon={composing.kind === "edit" ? "check" : "send"} primary label={w.send} disabled={over > 0} aria-disabled={busy} onClick={() => void send()} />
        ) : (
          !recording && composing.kind === "new" && <Shots onCamera={() => camera.current?.click()} onVoice={() => setRecording(true)} />
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
