// A question before something that cannot be undone. Its buttons are the verbs of what happens.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { sentenceOf } from "../failure.ts";
import type { Question } from "../overlay.ts";
import { Button } from "./button.tsx";
import { Actions, Dialog } from "./dialog.tsx";

/** The dialog of a question. */
export function QuestionDialog({ question, onClose }: { question: Question; onClose: () => void }): JSX.Element {
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const run = async (): Promise<void> => {
    setBusy(true);
    const outcome = await question.run?.();
    setBusy(false);
    if (outcome && !outcome.ok) setWrong(sentenceOf(outcome.failure));
    else onClose();
  };
  return (
    <Dialog title={question.title} size="small" alert={question.run !== undefined} onClose={onClose}>
      <p>{question.text}</p>
      {wrong && (
        <p class="form-wrong" role="alert">
          {wrong}
        </p>
      )}
      <Actions>
        <Button onClick={onClose} autoFocus={!question.run}>
          {question.no}
        </Button>
        {question.run && (
          <Button kind="danger" busy={busy} onClick={() => void run()} autoFocus>
            {question.yes}
          </Button>
        )}
      </Actions>
    </Dialog>
  );
}
