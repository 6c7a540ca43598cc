// The lightbox: a picture in the size of the window. Arrows show the conversation's other pictures, + and − zoom, Escape closes.

import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { sentenceOf } from "../failure.ts";
import { words } from "../i18n/words.ts";
import { type FileInfo, shapeOf } from "../../core/index.ts";
import { announce } from "../parts/announcer.tsx";
import { IconButton } from "../parts/button.tsx";
import { log } from "../state.ts";
import { plainText } from "../../core/model/markdown.ts";
import { useFile } from "./load.ts";
import { save } from "./save.ts";
import { thumbOf } from "./types.ts";

const SIZES = [1, 1.5, 2, 3, 5];
/** How far a finger moves to the side to see the next picture. */
const SWIPE_PX = 48;
/** A larger one is not fetched before it is wanted: bytes. */
const MAX_AHEAD = 16 << 20;

interface Shown {
  file: FileInfo;
  caption: string;
  from: string;
}

/** All pictures of the open conversation, oldest first. */
function picturesHere(): Shown[] {
  const articles = (log.value?.entries ?? []).flatMap((entry) => (entry.kind === "article" ? [entry] : []));
  return articles.flatMap(({ files, text, own, name }) =>
    files.filter((file) => shapeOf(file) === "picture").map((file) => ({ file, caption: plainText(text), from: own ? words.value.you : name })),
  );
}

function Large({ shown: { file, caption }, next = file, size }: { shown: Shown; next: FileInfo | undefined; size: number }): JSX.Element {
  const loaded = useFile(file, true).value;
  useFile(next, loaded.kind === "here" && next.size <= MAX_AHEAD);
  const thumb = thumbOf(file);
  const sides = { "--w": String(file.w ?? 800), "--h": String(file.h ?? 600), "--size": String(size) };
  return (
    <div class="large" style={sides}>
      {loaded.kind === "here" ? (
        <img src={loaded.url} alt={caption || file.name} draggable={false} />
      ) : loaded.kind === "failed" ? (
        <p role="alert">{sentenceOf(loaded.failure)}</p>
      ) : (
        thumb && <img class="thumb" src={thumb} alt="" />
      )}
    </div>
  );
}

/** The picture that was pressed. */
export function Lightbox({ file, onClose }: { file: string; onClose: () => void }): JSX.Element | null {
  const w = words.value;
  const dialog = useRef<HTMLDialogElement>(null);
  const finger = useRef<{ x: number; y: number } | null>(null);
  const [id, setId] = useState(file);
  const [size, setSize] = useState(0);
  const all = picturesHere();
  const at = all.findIndex((one) => one.file.id === id);
  const shown = all[at];
  const rtl = w.direction === "rtl";
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  useLayoutEffect(() => {
    // It was deleted meanwhile.
    if (!shown) onClose();
  }, [shown === undefined]);
  if (!shown) return null;
  const go = (by: number): void => {
    const next = all[at + by];
    if (!next) return;
    setId(next.file.id);
    setSize(0);
    announce(`${w.pictureOf(at + by + 1, all.length)}, ${next.caption || next.file.name}`);
  };
  const onTouchStart = ({ touches }: TouchEvent): void => {
    const [put] = touches;
    // What is enlarged, by a button or by two fingers, is moved by one.
    const isEnlarged = size > 0 || (visualViewport?.scale ?? 1) > 1;
    finger.current = put && !isEnlarged && touches.length === 1 ? { x: put.clientX, y: put.clientY } : null;
  };
  const onTouchEnd = ({ changedTouches: [lifted] }: TouchEvent): void => {
    const put = finger.current;
    finger.current = null;
    if (!put || !lifted) return;
    const [x, y] = [lifted.clientX - put.x, lifted.clientY - put.y];
    if (Math.abs(x) >= SWIPE_PX && Math.abs(x) > 2 * Math.abs(y)) go(x < 0 === rtl ? -1 : 1);
  };
  const resize = (by: number): void => setSize(Math.max(0, Math.min(SIZES.length - 1, size + by)));
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowRight") go(rtl ? -1 : 1);
    else if (event.key === "ArrowLeft") go(rtl ? 1 : -1);
    else if (event.key === "+" || event.key === "=") resize(1);
    else if (event.key === "-") resize(-1);
    else if (event.key === "0") setSize(0);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <dialog
      ref={dialog}
      class="lightbox"
      aria-label={shown.caption || shown.file.name || w.filesBrief.picture(1)}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onKeyDown={onKeyDown}
    >
      <div class="lightbox-head">
        <span class="lightbox-name">
          <bdi class="cut">{shown.from}</bdi>
          <small>{w.pictureOf(at + 1, all.length)}</small>
        </span>
        <IconButton icon="smaller" label={w.lightbox.smaller} disabled={size === 0} onClick={() => resize(-1)} />
        <IconButton icon="larger" label={w.lightbox.larger} disabled={size === SIZES.length - 1} onClick={() => resize(1)} />
        <IconButton icon="download" label={w.saveNamed(shown.file.name)} onClick={() => void save(shown.file, () => undefined)} />
        <IconButton icon="close" label={w.close} onClick={onClose} />
      </div>
      <div class="lightbox-main" onTouchStart={onTouchStart} onTouchEnd={onTouchEnd} onDblClick={() => setSize(size === 0 ? 2 : 0)} tabIndex={size > 0 ? 0 : undefined}>
        <Large key={id} shown={shown} next={all[at + 1]?.file} size={SIZES[size] ?? 1} />
      </div>
      <span class="lightbox-step before">
        <IconButton icon="back" label={w.lightbox.before} disabled={at === 0} onClick={() => go(-1)} />
      </span>
      <span class="lightbox-step after">
        <IconButton icon="forward" label={w.lightbox.after} disabled={at === all.length - 1} onClick={() => go(1)} />
      </span>
      {shown.caption && (
        <p class="lightbox-caption" dir="auto">
          {shown.caption}
        </p>
      )}
    </dialog>
  );
}
