// Downloads that are too large for memory: the page passes a file, gets a URL for it, and the browser saves what is streamed from
// there, decrypted record by record with backpressure. A URL works once, and for this worker only.

import { closePorts, openWorkerPorts } from "../browser/open.ts";
import type { FileInfo } from "../core/model/file.ts";
import type { SaveMessage } from "../core/model/saving.ts";
import { callerOf } from "../core/session/record.ts";
import { Store } from "../core/store/store.ts";
import type { Caller } from "../core/wire/call.ts";
import { scope } from "./scope.ts";
import { endOf, streamOf } from "./stream.ts";

/** A file that a page wants to save, and where the page listens. */
interface Wanted {
  file: FileInfo;
  post: (message: SaveMessage) => void;
}

const waiting = new Map<string, Wanted>();
/** The addresses of what is being streamed. */
const saving = new Set<string>();
const prefix = new URL("./download/", scope.location.href).href;

/** A page wants to save a file: sends it the URL of the stream. */
export function announce(wanted: Wanted): void {
  const address = prefix + crypto.randomUUID();
  waiting.set(address, wanted);
  wanted.post({ address });
}

/** Whether the download with this address is being streamed; false after the browser has ended this worker and started it again. */
export const isSaving = (address: string): boolean => saving.has(address);

/** The response to a request for such a URL; null for any other URL. An unknown one gets a response, too, so that the page is not left. */
export function download(address: string): Promise<Response> | null {
  if (!address.startsWith(prefix)) return null;
  const wanted = waiting.get(address);
  waiting.delete(address);
  if (!wanted) return Promise.resolve(nothing());
  saving.add(address);
  const post = (message: SaveMessage): void => {
    wanted.post(message);
    if ("ended" in message) saving.delete(address);
  };
  return stream({ file: wanted.file, post }).catch((error: unknown) => {
    post({ ended: endOf(error) });
    // The page would be replaced by the browser's own, which says that it cannot be reached.
    reportError(error);
    return nothing();
  });
}

const nothing = (): Response => new Response(null, { status: 204 });

/** The session's caller; null if nobody is logged in. */
async function openCaller(): Promise<Caller | null> {
  const ports = await openWorkerPorts();
  try {
    const session = await new Store(ports.backend).session();
    return session ? callerOf(ports, session) : null;
  } finally {
    closePorts(ports);
  }
}

async function stream({ file, post }: Wanted): Promise<Response> {
  const { size, name } = file;
  const caller = await openCaller();
  if (!caller) throw new Error("nobody is logged in");
  // An error of it is one with which the browser ends the download as failed.
  const body = await streamOf(caller, file, post);
  const headers = {
    "Content-Type": "application/octet-stream",
    "Content-Disposition": `attachment; filename*=UTF-8''${encodeURIComponent((name || "file").toWellFormed())}`,
    "Content-Length": String(size),
    "Content-Security-Policy": "default-src 'none'; sandbox",
  };
  return new Response(body, { headers });
}
