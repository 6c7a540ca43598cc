// Files of a server in memory (docs/api.md, Files), before which a network can be put: as far as a client that sends and fetches
// them is concerned.

import { createHash } from "node:crypto";
import type { Http, HttpAnswer } from "../../core/ports.ts";
import { RECORD } from "../../core/crypto/file.ts";

interface Stored {
  size: number;
  records: Map<number, Uint8Array<ArrayBuffer>>;
  complete: boolean;
  message: string | null;
}
type Fields = Record<string, unknown>;

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const answer = (status: number, found: Fields): HttpAnswer => ({ status, date: null, retryAfter: null, text: JSON.stringify(found) });
const ok = (found: Fields = {}): HttpAnswer => answer(200, { status: "OK", errormessage: "", ...found });
/** The answer to an unknown action. */
export const refused = (status: number, errorcode: string, retryAfter: string | null = null): HttpAnswer => ({
  ...answer(status, { status: "ERROR", errormessage: errorcode, errorcode }),
  retryAfter,
});

/** Files, beside the calls that `http` answers. */
export class FileServer {
  readonly files = new Map<string, Stored>();
  /** Hashes of the uploaded records, in order. */
  readonly put: string[] = [];
  maxSize = Number.POSITIVE_INFINITY;
  /** Called before anything is done; may throw, as a network does, or answer in place of the server. */
  before: (action: string, fields: Fields, headers: Record<string, string>) => HttpAnswer | void | Promise<HttpAnswer | void> = () => undefined;

  constructor(private readonly rest: Http) {}

  http: Http = async (path, body, headers, signal, heard) => {
    const inHeader = headers["Ozeki-Request"];
    const isFile = path.includes("api=chatfileserver") || path.startsWith("file/");
    const fields = JSON.parse(inHeader ? Buffer.from(inHeader, "base64url").toString() : String(body)) as Fields;
    const instead = isFile || fields["action"] === "add" ? await this.before(String(fields["action"]), fields, headers) : undefined;
    if (instead) return instead;
    if (isFile) return this.perform(fields, body, headers);
    const files = fields["action"] === "add" ? ((fields["files"] ?? []) as string[]) : [];
    if (files.some((id) => !this.files.get(id)?.complete)) return refused(404, "file_not_found");
    for (const id of files) this.stored(id).message = (JSON.parse(String(fields["message"])) as { ID: string }).ID;
    return this.rest(path, body, headers, signal, heard);
  };

  /** A stored file. */
  stored(id: unknown): Stored {
    const found = this.files.get(String(id));
    if (!found) throw new Error("there is no such file");
    return found;
  }

  private perform(fields: Fields, body: unknown, headers: Record<string, string>): HttpAnswer {
    const id = String(fields["fileid"]);
    const found = this.files.get(id);
    if (fields["action"] === "create") {
      if (Number(fields["size"]) > this.maxSize) return refused(413, "too_large");
      const file = found ?? { size: Number(fields["size"]), records: new Map(), complete: false, message: null };
      this.files.set(id, file);
      return ok({ records: Math.ceil(file.size / RECORD), have: [...file.records.keys()].map((n) => [n, n]) });
    }
    if (!found) return refused(404, "file_not_found");
    switch (fields["action"]) {
      case "put": {
        const bytes = body as Uint8Array<ArrayBuffer>;
        if (sha256(bytes) !== fields["sha256"] || bytes.length !== fields["length"]) return refused(400, "invalid_request");
        for (let n = 0; n * RECORD < bytes.length; n++) {
          const record = bytes.slice(n * RECORD, (n + 1) * RECORD);
          this.put.push(sha256(record));
          found.records.set(Number(fields["record"]) + n, record);
        }
        return ok();
      }
      case "complete": {
        const hashes = Array.from({ length: Math.ceil(found.size / RECORD) }, (_, n) => createHash("sha256").update(found.records.get(n) ?? new Uint8Array(0)).digest());
        if (sha256(Buffer.concat(hashes)) !== fields["digest"]) return refused(409, "file_conflict");
        found.complete = true;
        return ok();
      }
      case "delete":
        this.files.delete(id);
        return ok();
      default: {
        const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers["Range"] ?? "") ?? [];
        const all = Buffer.concat([...found.records].sort(([a], [b]) => a - b).map(([, bytes]) => bytes));
        if (Number(from) >= all.length) return { ...ok(), status: 416, text: "" };
        return { ...ok(), status: 206, text: "", bytes: new Uint8Array(all.subarray(Number(from), Number(to) + 1)) };
      }
    }
  }
}
