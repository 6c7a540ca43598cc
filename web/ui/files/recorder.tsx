// The row that replaces the text field during a recording.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { words } from "../i18n/words.ts";
import type { ConversationId } from "../../core/index.ts";
import { announce, note } from "../parts/announcer.tsx";
import { IconButton } from "../parts/button.tsx";
import { record, type Recording, send, STEP_MS } from "./recording.ts";
import { clockOf, Wave } from "./voice.tsx";

/** Bars that are shown while it is recorded: the newest. */
const SHOWN = 40;

/** The row that is shown during a recording. */
export function Recorder({ conversation, onDone }: { conversation: ConversationId; onDone: () => void }): JSX.Element {
  const w = words.value;
  const recording = useRef<Recording | null>(null);
  const isOver = useRef(false);
  const isSending = useRef(false);
  const row = useRef<HTMLDivElement>(null);
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const begin = async (): Promise<void> => {
      try {
        const begun = await record();
        if (isOver.current) return void begun.stop();
        recording.current = begun;
        announce(w.recording);
      } catch {
        note(w.micBlocked);
        onDone();
      }
    };
    void begin();
    row.current?.focus();
    const timer = setInterval(() => recording.current && setSeconds(recording.current.ms() / 1000), STEP_MS);
    return () => {
      isOver.current = true;
      clearInterval(timer);
      void recording.current?.stop();
      recording.current = null;
    };
  }, []);
  const finish = async (): Promise<void> => {
    const done = recording.current;
    if (!done || isSending.current) return;
    isSending.current = true;
    try {
      await send(conversation, await done.stop(), done);
      if (!isOver.current) onDone();
    } catch {
      // The recording is kept, so that sending can be retried.
      isSending.current = false;
      note(w.notSent);
    }
  };
  return (
    <div
      ref={row}
      class="recorder"
      tabIndex={-1}
      role="group"
      aria-label={w.recording}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        onDone();
      }}
    >
      <IconButton icon="trash" label={w.discard} onClick={onDone} />
      <span class="recorder-dot" aria-hidden="true" />
      <span class="voice-time" role="timer">
        {clockOf(seconds)}
      </span>
      <Wave bars={(recording.current?.levels ?? []).slice(-SHOWN)} part={0} />
      <IconButton icon="send" primary label={w.send} onClick={() => void finish()} />
    </div>
  );
}
