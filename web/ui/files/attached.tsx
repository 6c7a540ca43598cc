// The attachments of a message. Their space is reserved before they are loaded, so that nothing moves.

import type { JSX } from "preact";
import { words } from "../i18n/words.ts";
import { type Article, type FileInfo, shapeOf } from "../../core/index.ts";
import { FileRow, VideoPlayer, PlayRow, Uploading, VoicePlayer } from "../lazy.ts";
import { Pictures, ratioOf } from "./pictures.tsx";

function One({ file, isHere }: { file: FileInfo; isHere: boolean }): JSX.Element {
  switch (shapeOf(file)) {
    case "video":
      return (
        <div class="film picture" style={{ "--ratio": String(ratioOf(file)) }}>
          <VideoPlayer file={file} />
        </div>
      );
    case "voice":
      return (
        <div class="voice">
          <VoicePlayer file={file} />
        </div>
      );
    case "audio":
      return (
        <div class="file">
          <PlayRow file={file} />
        </div>
      );
    default:
      return (
        <div class="file">
          <FileRow file={file} isHere={isHere} />
        </div>
      );
  }
}

/** The files of a message. */
export function Attached({ article }: { article: Article }): JSX.Element | null {
  const { files } = article;
  if (files.length === 0) return null;
  const pictures = files.filter((file) => shapeOf(file) === "picture");
  const others = files.filter((file) => shapeOf(file) !== "picture");
  return (
    <div class="files">
      {pictures.length > 0 && <Pictures files={pictures} caption={article.text} />}
      {others.map((file) => (
        <One key={file.id} file={file} isHere={article.state !== "sending" && article.state !== "notSent"} />
      ))}
      {article.state === "sending" && (
        <div class="uploading">
          <Uploading article={article} />
        </div>
      )}
    </div>
  );
}

/** Files in one line: "3 photos", or the name of a document. */
export function brief({ shape, count, name }: { shape: ReturnType<typeof shapeOf>; count: number; name: string }): string {
  const w = words.value;
  return shape === "document" && count === 1 ? name : w.filesBrief[shape](count);
}
