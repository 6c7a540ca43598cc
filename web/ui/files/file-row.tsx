// A file as a row: its name, whose ending is never cut off, its size, and its actions.

import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { words } from "../i18n/words.ts";
import { type FileInfo, shapeOf } from "../../core/index.ts";
import { IconButton } from "../parts/button.tsx";
import { Icon } from "../parts/icon.tsx";
import { save } from "./save.ts";
import { endingOf } from "./types.ts";

/** Letters of a name that are never cut off: its end. */
const END = 9;

/** A name that is cut in its middle where it is too long. */
export function FileName({ name }: { name: string }): JSX.Element {
  const letters = [...name];
  const end = letters.slice(-END).join("");
  return (
    <bdi class="file-name" title={name}>
      {letters.length > END && <span class="cut">{letters.slice(0, -END).join("")}</span>}
      <span>{end}</span>
    </bdi>
  );
}

interface RowProps {
  file: FileInfo;
  text: string;
  /** It is on the server, and can be saved. */
  isHere?: boolean;
  children?: ComponentChildren;
}

/** What a row of a file holds; what else it has is drawn into it. */
export function Row({ file, text, isHere = true, children }: RowProps): JSX.Element {
  const w = words.value;
  const [saving, setSaving] = useState<number | null>(null);
  const begin = async (): Promise<void> => {
    if (saving !== null) return;
    setSaving(0);
    try {
      await save(file, setSaving);
    } finally {
      setSaving(null);
    }
  };
  return (
    <>
      <span class="file-icon">
        <Icon name={{ picture: "image", video: "film", voice: "music", audio: "music", document: "file" }[shapeOf(file)] as "file"} />
      </span>
      <span class="file-text">
        <FileName name={file.name || w.filesBrief.document(1)} />
        <small>{saving === null ? text : w.ofAll(w.format.size(saving), w.format.size(file.size))}</small>
      </span>
      {isHere && <IconButton icon="download" label={w.saveNamed(file.name)} aria-disabled={saving !== null} onClick={() => void begin()} />}
      {children}
    </>
  );
}

/** Its type and its size. */
export const about = (file: FileInfo): string => {
  const ending = endingOf(file.name);
  const size = words.value.format.size(file.size);
  // Isolated: where the language is written from the right, the number stays with its unit.
  return ending === "" ? size : `${ending}, \u2068${size}\u2069`;
};

/** A document. */
export const FileRow = ({ file, isHere }: { file: FileInfo; isHere: boolean }): JSX.Element => (
  <Row file={file} text={about(file)} isHere={isHere} />
);
