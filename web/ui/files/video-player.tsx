// A video: fetched when it is played.

import type { JSX } from "preact";
import { sentenceOf } from "../failure.ts";
import { words } from "../i18n/words.ts";
import type { FileInfo } from "../../core/index.ts";
import { Icon } from "../parts/icon.tsx";
import { takeFocus } from "./focus.ts";
import { useOnPress } from "./load.ts";
import { thumbOf } from "./types.ts";

/** A video, fetched when it is played. */
export function VideoPlayer({ file }: { file: FileInfo }): JSX.Element {
  const w = words.value;
  const { loaded, loading, press } = useOnPress(file);
  const thumb = thumbOf(file);
  const name = file.name || w.filesBrief.video(1);
  return (
    <>
      {loaded.kind === "here" ? (
        <video ref={takeFocus} src={loaded.url} {...(thumb && { poster: thumb })} aria-label={name} controls autoplay playsInline />
      ) : (
        <button type="button" onClick={press}>
          {thumb && <img class="thumb" src={thumb} alt="" />}
          <span class="unseen">{loading ? w.stopLoading(name) : w.playOf(name)}</span>
          <span class="film-play" aria-hidden="true">
            <Icon name={loading ? "close" : "play"} size={28} />
          </span>
          <span class="film-note" aria-hidden={!loading && loaded.kind !== "failed"}>
            {loaded.kind === "failed" ? sentenceOf(loaded.failure) : loading ? w.ofAll(w.format.size(loaded.done), w.format.size(file.size)) : w.format.size(file.size)}
          </span>
        </button>
      )}
    </>
  );
}
