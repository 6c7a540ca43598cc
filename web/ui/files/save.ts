// Saving a file: as a download, never as a page. What is too large to be held goes through the worker, as a stream.

import type { Failure, FileInfo, SaveMessage } from "../../core/index.ts";
import { sentenceOf } from "../failure.ts";
import { note } from "../parts/announcer.tsx";
import { saveAs } from "../parts/save.ts";
import { blobOf } from "./load.ts";

/** What a download may be held whole, in bytes. */
const MAX_HELD = 64 << 20;

/** If a worker does not answer within this time, there is none. */
const ANSWERS_MS = 10_000;
/** How often it is asked whether it still saves, which also keeps the browser from ending it; after so many without an answer it is gone. */
const ASK_MS = 10_000;
const MAX_SILENT = 3;
/** How long the message of its end may take, which comes through another port. */
const SAID_MS = 1000;

/** Asks a worker whether it still saves what it has given this address. */
function ask(worker: ServiceWorker, address: string, then: (isSaving: boolean) => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }: MessageEvent<boolean>) => {
    port1.close();
    then(data);
  };
  worker.postMessage({ saving: address }, [port2]);
}

/** Has the worker save it; false if that does not answer. */
async function stream(worker: ServiceWorker, file: FileInfo, onPart: (done: number) => void): Promise<boolean> {
  const { port1, port2 } = new MessageChannel();
  let asking: ReturnType<typeof setInterval> | undefined;
  const found = await new Promise<"no answer" | Failure | null>((end) => {
    const late = setTimeout(() => end("no answer"), ANSWERS_MS);
    const gone = (): void => end({ kind: "noAnswer" });
    // Counted instead of timed: in a hidden page, timers run only once a minute.
    let silent = 0;
    const askAgain = (address: string): void => {
      if (silent === MAX_SILENT) return gone();
      silent += 1;
      ask(worker, address, (isSaving) => {
        silent = 0;
        if (!isSaving) setTimeout(gone, SAID_MS);
      });
    };
    port1.onmessage = ({ data }: MessageEvent<SaveMessage>) => {
      clearTimeout(late);
      silent = 0;
      if ("done" in data) return onPart(data.done);
      if ("ended" in data) return end(data.ended);
      asking = setInterval(() => askAgain(data.address), ASK_MS);
      // Chromium asks no worker for what has the attribute "download"; that it is to be saved, the answer says.
      const link = document.createElement("a");
      link.href = data.address;
      link.click();
    };
    worker.postMessage({ download: file }, [port2]);
  });
  clearInterval(asking);
  port1.close();
  if (found === "no answer") return false;
  if (found) note(sentenceOf(found));
  return true;
}

/** Saves it under its name; `onPart` hears how much is here. */
export async function save(file: FileInfo, onPart: (done: number) => void): Promise<void> {
  const worker = navigator.serviceWorker?.controller;
  if (file.size > MAX_HELD && worker && (await stream(worker, file, onPart))) return;
  const found = await blobOf(file, false, onPart);
  if (!(found instanceof Blob)) {
    note(sentenceOf(found));
    return;
  }
  saveAs(found, file.name);
}
