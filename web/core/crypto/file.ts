// Files (docs/e2ee.md, Files): STREAM over AES-256-GCM. A file is encrypted in records that can be sent, fetched and checked
// one by one; their order and their number are bound by the nonces, and its length is hidden by padding.

import { type Bytes, concat, fromBase64, hex, InvalidEncoding, sha256, utf8 } from "./bytes.ts";
import { aesKey } from "./keys.ts";

/** Bytes of a full record on the wire: four of them are 1 MiB. */
export const RECORD = 262_144;
/** The tag of AES-GCM. */
const TAG = 16;
/** Bytes of a file in a full record. */
export const PLAIN = RECORD - TAG;
const ADDITIONAL = utf8("parlance file 1");

/** A file that does not match its message. */
export class DamagedFile extends Error {
  constructor(why: string, options?: ErrorOptions) {
    super(`a file is damaged: ${why}`, options);
    this.name = "DamagedFile";
  }
}

/** A length as Padmé pads it: adds at most 12 %, and leaves few distinct lengths. */
export function padme(length: number): number {
  if (length < 2) return length;
  const exponent = Math.floor(Math.log2(length));
  const kept = Math.floor(Math.log2(exponent)) + 1;
  // In floating point, as bits of JavaScript end at 2^31.
  const step = 2 ** Math.max(0, exponent - kept);
  return Math.ceil(length / step) * step;
}

/** How many records a padded length makes; an empty file has one. */
export const recordsOf = (padded: number): number => Math.max(1, Math.ceil(padded / PLAIN));

/** Its bytes once it is encrypted. */
export const encryptedLength = (padded: number): number => padded + recordsOf(padded) * TAG;

/** A new key, for one file only. */
export const fileKey = (bytes: Bytes): Promise<CryptoKey> => {
  if (bytes.length !== 32) throw new DamagedFile("its key has another length");
  return aesKey(bytes);
};

/** The key that a message names in Base64; throws `DamagedFile` if that is none. */
async function namedKey(text: string): Promise<CryptoKey> {
  try {
    return await fileKey(fromBase64(text));
  } catch (cause) {
    if (cause instanceof InvalidEncoding) throw new DamagedFile("its key cannot be read", { cause });
    throw cause;
  }
}

function nonceOf(record: number, isLast: boolean): Bytes {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setUint32(7, record);
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

const algorithm = (record: number, isLast: boolean) => ({ name: "AES-GCM", iv: nonceOf(record, isLast), additionalData: ADDITIONAL });

/** Encrypts a padded record. */
export const sealRecord = async (key: CryptoKey, record: number, isLast: boolean, plain: Bytes): Promise<Bytes> =>
  new Uint8Array(await crypto.subtle.encrypt(algorithm(record, isLast), key, plain));

/** Decrypts a record; throws `DamagedFile` if it is not that one of that file. */
export async function openRecord(key: CryptoKey, record: number, isLast: boolean, sealed: Bytes): Promise<Bytes> {
  try {
    return new Uint8Array(await crypto.subtle.decrypt(algorithm(record, isLast), key, sealed));
  } catch (cause) {
    throw new DamagedFile(`record ${record} does not open`, { cause });
  }
}

/** The digest in a file's message: the hash over the hashes of its records. */
export const digestOf = (hashes: readonly Bytes[]): Promise<Bytes> => sha256(concat(...hashes));

/** The part of a padded record that is the file's; throws if the padding is not zero, or the file ends too early. */
export function unpadded(plain: Bytes, record: number, isLast: boolean, size: number): Bytes {
  if (isLast && size > record * PLAIN + plain.length) throw new DamagedFile("it ends too early");
  const length = Math.min(plain.length, Math.max(0, size - record * PLAIN));
  if (plain.subarray(length).some((byte) => byte !== 0)) throw new DamagedFile("its padding is not of zeros");
  return plain.subarray(0, length);
}

/** What a message says about a file. */
interface Named {
  key: string;
  size: number;
  records: number;
  digest: string;
}

/**
 * Opens the records of a file, in their order, and throws `DamagedFile` at the first that is not the file's. Its last part is
* returned only if the digest matches, too: a key fits all that its writer has encrypted under it, and not this file alone.
 */
export class FileDecryptor {
  private constructor(
    private readonly key: CryptoKey,
    private readonly file: Named,
    private readonly hashes: Bytes[],
  ) {}

  /** `hashes` are those of the records that were opened before, to which it adds. */
  static async of(file: Named, hashes: Bytes[] = []): Promise<FileDecryptor> {
    // Other clients may pad otherwise; but nobody makes a reader fetch without end for a few bytes.
    if (file.records < recordsOf(file.size) || file.records > 2 * recordsOf(padme(file.size))) throw new DamagedFile("its length does not fit");
    return new FileDecryptor(await namedKey(file.key), file, hashes);
  }

  /** The number of the record that comes next. */
  get next(): number {
    return this.hashes.length;
  }

  get isDone(): boolean {
    return this.next === this.file.records;
  }

  /** Opens the next record. */
  async open(sealed: Bytes): Promise<Bytes> {
    const { size, records, digest } = this.file;
    const n = this.next;
    const isLast = n === records - 1;
    const part = unpadded(await openRecord(this.key, n, isLast, sealed), n, isLast, size);
    const hash = await sha256(sealed);
    if (isLast && hex(await digestOf([...this.hashes, hash])) !== digest) throw new DamagedFile("its digest is another one");
    this.hashes.push(hash);
    return part;
  }
}
