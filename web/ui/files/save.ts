// Saves a file as a download, never as a page. Large files are streamed through the service worker.

import type { Failure, FileInfo, SaveMessage } from "../../core/index.ts";
import { sentenceOf } from "../failure.ts";
import { note } from "../parts/announcer.tsx";
import { saveAs } from "../parts/save.ts";
import { blobOf } from "./load.ts";

/** Larger downloads are streamed: bytes. */
const MAX_HELD = 64 << 20;

/** How long the worker may take to answer. */
const ANSWERS_MS = 10_000;
/** How often the worker is pinged, which also keeps the browser from ending it; after this many missed answers it is gone. */
const ASK_MS = 10_000;
const MAX_SILENT = 3;
/** How long its final message may take, which comes through another port. */
const SAID_MS = 1000;

/** Asks the worker whether it is still streaming this URL. */
function ask(worker: ServiceWorker, address: string, then: (isSaving: boolean) => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }: MessageEvent<boolean>) => {
    port1.close();
    then(data);
  };
  worker.postMessage({ saving: address }, [port2]);
}

/** Has the worker save it; false if the worker does not answer. */
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
      // No `download` attribute, as Chromium then bypasses the worker; the response has `Content-Disposition`.
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

/** Saves it under its name; `onPart` is called with the progress. */
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
