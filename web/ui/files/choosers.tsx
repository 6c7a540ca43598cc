// Choosing files for a message, besides dropping or pasting them.

import type { JSX, RefObject } from "preact";
import { useEffect } from "preact/hooks";
import { words } from "../i18n/words.ts";
import type { ConversationId } from "../../core/index.ts";
import { IconButton } from "../parts/button.tsx";
import { pick, restorePicked } from "./chosen.ts";

interface ChoosersProps {
  conversation: ConversationId;
  chooser: RefObject<HTMLInputElement | null>;
  camera: RefObject<HTMLInputElement | null>;
  onChosen: () => void;
}

/** The browser's own dialogs for files, and a phone's camera. */
export function Choosers({ conversation, chooser, camera, onChosen }: ChoosersProps): JSX.Element {
  useEffect(() => void restorePicked(conversation), [conversation]);
  const onChange = ({ currentTarget }: { currentTarget: HTMLInputElement }): void => {
    void pick(conversation, [...(currentTarget.files ?? [])]);
    // Reset, so that the same file can be chosen again.
    currentTarget.value = "";
    onChosen();
  };
  return (
    <>
      <input ref={chooser} type="file" multiple hidden onChange={onChange} />
      <input ref={camera} type="file" accept="image/*" capture="environment" hidden onChange={onChange} />
    </>
  );
}

/** Buttons for an empty composer: the camera, on phones, and a voice note. */
export function Shots({ onCamera, onVoice }: { onCamera: () => void; onVoice: () => void }): JSX.Element {
  const w = words.value;
  return (
    <>
      <span class="only-touch">
        <IconButton icon="camera" label={w.takePicture} onClick={onCamera} />
      </span>
      {"MediaRecorder" in window && <IconButton icon="mic" label={w.recordVoice} onClick={onVoice} />}
    </>
  );
}
