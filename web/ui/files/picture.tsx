// One picture of a message: the small picture stands in its place until it is here.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { sentenceOf } from "../failure.ts";
import { words } from "../i18n/words.ts";
import type { FileInfo } from "../../core/index.ts";
import { show } from "../overlay.ts";
import { Icon } from "../parts/icon.tsx";
import { useFile } from "./load.ts";
import { thumbOf } from "./types.ts";

/** Distance from the viewport within which a picture is fetched. */
const NEAR = "600px";
/** A larger picture is fetched when somebody opens it: bytes. */
const MAX_FETCHED = 16 << 20;

/** Whether an element has been near the screen. */
function useNear(): [(element: Element | null) => void, boolean] {
  const [near, setNear] = useState(false);
  const observer = useRef<IntersectionObserver | null>(null);
  useEffect(() => () => observer.current?.disconnect(), []);
  const watch = useRef((element: Element | null) => {
    observer.current?.disconnect();
    if (!element) return;
    observer.current = new IntersectionObserver((all) => all.some((one) => one.isIntersecting) && setNear(true), { root: element.closest(".log"), rootMargin: NEAR });
    observer.current.observe(element);
  });
  return [watch.current, near];
}

interface PictureProps {
  file: FileInfo;
  alt: string;
  /** How many more pictures there are; shown over this one. */
  more: number;
}

/** The picture; pressed, it is shown large. */
export function Picture({ file, alt, more }: PictureProps): JSX.Element {
  const w = words.value;
  const [watch, near] = useNear();
  const loaded = useFile(file, near && file.size <= MAX_FETCHED).value;
  const thumb = thumbOf(file);
  return (
    <button ref={watch} type="button" onClick={() => show({ kind: "picture", file: file.id })}>
      {thumb && <img class="thumb" src={thumb} alt="" />}
      {loaded.kind === "here" ? <img src={loaded.url} alt={alt} /> : <span class="unseen">{alt}</span>}
      {loaded.kind === "failed" && (
        <span class="picture-failed">
          <Icon name="image" />
          {sentenceOf(loaded.failure)}
        </span>
      )}
      {more > 0 && (
        <span class="picture-more">
          <span aria-hidden="true">{`+${w.format.number(more)}`}</span>
          <span class="unseen">{w.morePictures(more)}</span>
        </span>
      )}
    </button>
  );
}
