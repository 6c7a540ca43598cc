// A recording, played in its row.

import type { JSX } from "preact";
import { sentenceOf } from "../failure.ts";
import { words } from "../i18n/words.ts";
import type { FileInfo } from "../../core/index.ts";
import { IconButton } from "../parts/button.tsx";
import { about, Row } from "./file-row.tsx";
import { takeFocus } from "./focus.ts";
import { useOnPress } from "./load.ts";

/** What its row holds. */
export function PlayRow({ file }: { file: FileInfo }): JSX.Element {
  const w = words.value;
  const { loaded, loading, press } = useOnPress(file);
  const text = loaded.kind === "failed" ? sentenceOf(loaded.failure) : loading && loaded.kind === "waiting" ? w.ofAll(w.format.size(loaded.done), w.format.size(file.size)) : about(file);
  return (
    <Row file={file} text={text}>
      {loaded.kind === "here" ? (
        <audio ref={takeFocus} src={loaded.url} aria-label={file.name} controls autoplay />
      ) : (
        <IconButton icon={loading ? "close" : "play"} label={loading ? w.stopLoading(file.name) : w.playOf(file.name)} onClick={press} />
      )}
    </Row>
  );
}
