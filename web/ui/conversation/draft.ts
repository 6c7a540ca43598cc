// What is being written, and how it is kept: with what it answers or changes, so that a reload finds all of it.

import { useEffect, useRef } from "preact/hooks";
import { type Article, type Conversation, type KeptDraft, wordsOf } from "../../core/index.ts";
import { client, me } from "../state.ts";

const DRAFT_MS = 300;

/** What the text in the box will become. */
export type Composing = { kind: "new" } | { kind: "reply"; article: About } | { kind: "edit"; article: About; edited: string };
/** What the composer needs to know of a message. */
export type About = Pick<Article, "id" | "user" | "name" | "own" | "text" | "mentions">;

/** What a message says where there are only words: of one without text, the names of its files. */
export const inWords = (article: Article): Article => ({ ...article, text: wordsOf(article) });

interface Drafts {
  keep: (draft: KeptDraft) => void;
  /** It is being sent, which empties it: meanwhile nothing is kept. */
  sending: () => void;
  /** It was sent. */
  forget: () => void;
}

/** A draft that is not written yet. */
interface Pending {
  timer: ReturnType<typeof setTimeout>;
  draft: KeptDraft;
  /** Begins to write it, or what was there before the last key, at once. */
  write: (() => Promise<void>) | null;
  isPrepared: boolean;
}

/** Keeps the draft: after a pause, and at once when the box or the page goes away. */
export function useDraft(id: string): Drafts {
  const pending = useRef<Pending | null>(null);
  /** What is being written; and whether that may come after what has emptied it. */
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
    // A page that goes may have no time left for what is not prepared yet.
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

/** What was begun, to be kept; `fresh` is the text of the new message, `inBox` what stands in the box. */
export function draftOf(composing: Composing, fresh: string, inBox: string): KeptDraft {
  if (composing.kind === "new") return { text: fresh, target: null };
  const { id, user, name, text, mentions } = composing.article;
  return { text: fresh, target: { kind: composing.kind, id, user, name, text, mentions, edited: composing.kind === "edit" ? inBox : "" } };
}

/** What was begun here before; null if that is no more than a text. */
export function composingOf({ draftTarget }: Conversation): Composing | null {
  if (!draftTarget) return null;
  const { kind, edited, ...about } = draftTarget;
  const article = { ...about, own: about.user === me.value.id };
  return kind === "edit" ? { kind, article, edited } : { kind, article };
}
