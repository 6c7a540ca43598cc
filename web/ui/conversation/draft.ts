// The draft and how it is stored: with the message that it replies to or edits, so that a reload restores all of it.

import { useEffect, useRef } from "preact/hooks";
import { type Article, type Conversation, type KeptDraft, wordsOf } from "../../core/index.ts";
import { client, me } from "../state.ts";

const DRAFT_MS = 300;

/** What the text in the text field will become. */
export type Composing = { kind: "new" } | { kind: "reply"; article: About } | { kind: "edit"; article: About; edited: string };
/** What the composer needs of a message. */
export type About = Pick<Article, "id" | "user" | "name" | "own" | "text" | "mentions">;

/** A message with its text, or the names of its files if it has none. */
export const inWords = (article: Article): Article => ({ ...article, text: wordsOf(article) });

interface Drafts {
  keep: (draft: KeptDraft) => void;
  /** The message is being sent, which deletes the draft: stores nothing meanwhile. */
  sending: () => void;
  /** It was sent. */
  forget: () => void;
}

/** A draft that is not stored yet. */
interface Pending {
  timer: ReturnType<typeof setTimeout>;
  draft: KeptDraft;
  /** Starts to store it at once, or the version before the last keystroke. */
  write: (() => Promise<void>) | null;
  isPrepared: boolean;
}

/** Stores the draft: after a pause, and at once when the composer or the page is closed. */
export function useDraft(id: string): Drafts {
  const pending = useRef<Pending | null>(null);
  /** The write that is under way; and whether it may finish after the draft was deleted. */
  const writing = useRef<Promise<void> | null>(null);
  const isLate = useRef(false);
  const follow = (mine: Promise<void>): void => {
    writing.current = mine;
    const end = (): void => {
      if (writing.current === mine) writing.current = null;
    };
    mine.then(end, end);
  };
  const save = (draft: KeptDraft): void => follow(client().prepareDraft(id, draft).then((write) => write()));
  const take = (): Pending | null => {
    const now = pending.current;
    if (now) clearTimeout(now.timer);
    pending.current = null;
    return now;
  };
  const write = (): void => {
    const now = take();
    // A page that is being unloaded may have no time to encrypt a draft.
    if (now?.write) follow(now.write());
    if (now && !now.isPrepared) save(now.draft);
  };
  const keep = (draft: KeptDraft): void => {
    const mine: Pending = { draft, timer: setTimeout(write, DRAFT_MS), write: take()?.write ?? null, isPrepared: false };
    pending.current = mine;
    const prepared = (begin: () => Promise<void>): void => void Object.assign(mine, { write: begin, isPrepared: true });
    client().prepareDraft(id, draft).then(prepared, () => undefined);
  };
  useEffect(() => {
    const hide = (): void => {
      if (document.visibilityState === "hidden") write();
    };
    addEventListener("pagehide", write);
    document.addEventListener("visibilitychange", hide);
    return () => {
      removeEventListener("pagehide", write);
      document.removeEventListener("visibilitychange", hide);
      write();
    };
  }, [id]);
  return {
    keep,
    sending: () => {
      if (pending.current) clearTimeout(pending.current.timer);
      isLate.current = writing.current !== null;
    },
    forget: () => {
      take();
      if (isLate.current || writing.current) save({ text: "", target: null });
    },
  };
}

/** The draft to be stored; `fresh` is the text of the new message, `inBox` the text in the text field. */
export function draftOf(composing: Composing, fresh: string, inBox: string): KeptDraft {
  if (composing.kind === "new") return { text: fresh, target: null };
  const { id, user, name, text, mentions } = composing.article;
  return { text: fresh, target: { kind: composing.kind, id, user, name, text, mentions, edited: composing.kind === "edit" ? inBox : "" } };
}

/** The reply or edit that a stored draft has; null if it is only text. */
export function composingOf({ draftTarget }: Conversation): Composing | null {
  if (!draftTarget) return null;
  const { kind, edited, ...about } = draftTarget;
  const article = { ...about, own: about.user === me.value.id };
  return kind === "edit" ? { kind, article, edited } : { kind, article };
}
