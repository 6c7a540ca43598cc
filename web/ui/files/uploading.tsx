// The upload progress of a message's files, announced to screen readers at the beginning, half way and at the end.

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { words } from "../i18n/words.ts";
import type { Article, Upload } from "../../core/index.ts";
import { announce } from "../parts/announcer.tsx";
import { IconButton } from "../parts/button.tsx";
import { client, connection, log, uploads } from "../state.ts";

/** The remaining time is shown after this much of the upload. */
const KNOWN_MS = 2000;

/** Seconds that are left, at the speed so far; null while that is not known. */
function useLeft(upload: Upload | undefined): number | null {
  const start = useRef<{ at: number; done: number } | null>(null);
  if (!upload || upload.stalled) {
    start.current = null;
    return null;
  }
  const now = performance.now();
  start.current ??= { at: now, done: upload.done };
  const [took, sent] = [now - start.current.at, upload.done - start.current.done];
  return took < KNOWN_MS || sent === 0 ? null : Math.ceil(((upload.all - upload.done) * took) / sent / 1000);
}

/** Whether it was sent, and not discarded. */
function isSent(message: string): boolean {
  const found = log.value?.entries.find(({ id }) => id === message);
  return found?.kind === "article" && found.state !== "sending" && found.state !== "notSent";
}

function useAnnounced(message: string, upload: Upload | undefined): void {
  const said = useRef<"nothing" | "start" | "half">("nothing");
  const w = words.value;
  const isHalf = upload !== undefined && upload.done * 2 >= upload.all;
  useEffect(() => {
    if (!upload) return;
    if (said.current === "nothing") announce(w.uploadSays.start);
    else if (isHalf && said.current === "start") announce(w.uploadSays.half);
    else return;
    said.current = isHalf ? "half" : "start";
  }, [upload !== undefined, isHalf]);
  useEffect(() => () => {
    if (said.current !== "nothing" && isSent(message)) announce(words.value.uploadSays.end);
  }, []);
}

/** The progress bar, with a button to cancel. */
export function Uploading({ article }: { article: Article }): JSX.Element {
  const w = words.value;
  const upload = uploads.value.get(article.id);
  const left = useLeft(upload);
  useAnnounced(article.id, upload);
  // The size of the files, without encryption and padding.
  const all = article.files.reduce((sum, { size }) => sum + size, 0);
  const done = upload ? Math.round((all * upload.done) / upload.all) : 0;
  const isWaiting = upload?.stalled === true || connection.value.kind !== "live";
  const sizes = [w.format.size(done), w.format.size(all)] as const;
  const text = isWaiting ? w.uploadWaits(...sizes) : left === null ? w.ofAll(...sizes) : w.uploadLeft(...sizes, left);
  return (
    <>
      <span class="uploading-text">{text}</span>
      <progress max={all || 1} value={done} aria-label={w.uploadSays.start} aria-valuetext={text} />
      <IconButton icon="close" small label={w.cancelUpload} onClick={() => log.value && void client().discard(log.value.id, article.id)} />
    </>
  );
}
