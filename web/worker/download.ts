// Downloads that are too large to be held whole: the page hands in a file, is told an address for it, and the browser saves what
// is streamed from there, decrypted record by record as the disk takes it. An address works once, and for this worker only.

import { closePorts, openPorts } from "../browser/open.ts";
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
  tell: (heard: SaveMessage) => void;
}

const waiting = new Map<string, Wanted>();
/** The addresses of what is being streamed. */
const saving = new Set<string>();
const prefix = new URL("./download/", scope.location.href).href;

/** A page wants to save a file: it is told the address from which it is streamed. */
export function announce(wanted: Wanted): void {
  const address = prefix + crypto.randomUUID();
  waiting.set(address, wanted);
  wanted.tell({ address });
}

/** Whether the download with this address is being streamed; false after the browser has ended this worker and started it again. */
export const isSaving = (address: string): boolean => saving.has(address);

/** The answer to a request for such an address, so that the page stays where it is also if it is not known any more; null if it is none. */
export function download(address: string): Promise<Response> | null {
  if (!address.startsWith(prefix)) return null;
  const wanted = waiting.get(address);
  waiting.delete(address);
  if (!wanted) return Promise.resolve(nothing());
  saving.add(address);
  const tell = (heard: SaveMessage): void => {
    wanted.tell(heard);
    if ("ended" in heard) saving.delete(address);
  };
  return stream({ file: wanted.file, tell }).catch((error: unknown) => {
    tell({ ended: endOf(error) });
    // The page would be replaced by the browser's own, which says that it cannot be reached.
    reportError(error);
    return nothing();
  });
}

const nothing = (): Response => new Response(null, { status: 204 });

/** Who asks for it; null where nobody is logged in. */
async function openCaller(): Promise<Caller | null> {
  const ports = await openPorts();
  try {
    const session = await new Store(ports.backend).session();
    return session ? callerOf(ports, session) : null;
  } finally {
    closePorts(ports);
  }
}

async function stream({ file, tell }: Wanted): Promise<Response> {
  const { size, name } = file;
  const caller = await openCaller();
  if (!caller) throw new Error("nobody is logged in");
  // An error of it is one with which the browser ends the download as failed.
  const body = await streamOf(caller, file, tell);
  const headers = {
    "Content-Type": "application/octet-stream",
    "Content-Disposition": `attachment; filename*=UTF-8''${encodeURIComponent((name || "file").toWellFormed())}`,
    "Content-Length": String(size),
    "Content-Security-Policy": "default-src 'none'; sandbox",
  };
  return new Response(body, { headers });
}
