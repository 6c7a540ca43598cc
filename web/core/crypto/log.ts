// The key log (docs/e2ee.md, Key log): a Merkle tree over all cards that a server took. Each client follows all of it.

import { type Bytes, concat, fromBase64, hex, idBytes, lp, sameBytes, sha256, utf8 } from "./bytes.ts";
import { readCanonical } from "./canonical.ts";
import { label, verifies } from "./keys.ts";

/** Bytes of an entry: tag, number, hash of the card. */
export const ENTRY_LENGTH = 72;

/** A tree, as far as it must be kept to be followed: the roots of its complete subtrees, from the largest. */
export interface Tree {
  size: number;
  peaks: readonly Bytes[];
}

/** Before the first entry. */
export const EMPTY: Tree = { size: 0, peaks: [] };

/** A head with the server's signature. */
export interface SignedHead {
  head: string;
  signature: string;
}

/** Why a log is refused. */
export class InvalidLog extends Error {
  constructor(readonly why: "form" | "signature" | "server" | "shorter" | "root" | "order" | "notMine" | "notLogged" | "forked" | "replaced") {
    super(`the key log is refused: ${why}`);
    this.name = "InvalidLog";
  }
}

/** How the log names a user. */
export const tagOf = async (server: string, user: string): Promise<string> =>
  hex(await sha256(label("tag"), lp(idBytes(server), idBytes(user))));

const parent = (left: Bytes, right: Bytes): Promise<Bytes> => sha256(Uint8Array.of(1), left, right);

/** Adds an entry. */
export async function append(tree: Tree, entry: Bytes): Promise<Tree> {
  const peaks = [...tree.peaks];
  let node = await sha256(Uint8Array.of(0), entry);
  // Each complete subtree of the same size becomes one with the new one: as many as the size has ones at its end.
  for (let rest = tree.size; rest % 2 === 1; rest = Math.floor(rest / 2)) {
    const left = peaks.pop();
    if (!left) throw new InvalidLog("form");
    node = await parent(left, node);
  }
  return { size: tree.size + 1, peaks: [...peaks, node] };
}

/** The root, in hex. */
export async function rootOf(tree: Tree): Promise<string> {
  let root: Bytes | null = null;
  for (const peak of [...tree.peaks].reverse()) root = root ? await parent(peak, root) : peak;
  return hex(root ?? (await sha256()));
}

/** The client's state of the log. */
export interface Followed {
  tree: Tree;
  /** The server's key, as it was first seen; null before. */
  serverKey: Bytes | null;
  /** The newest card of each tag: its number and hash. */
  newest: ReadonlyMap<string, { n: number; card: string }>;
  /** The root at each size, from the first entry on, in hex: what messages say of the log is compared with them. */
  roots: readonly string[];
}

/** The state before anything is known of the log. */
export const UNKNOWN: Followed = { tree: EMPTY, serverKey: null, newest: new Map(), roots: [] };

/** Checks a contact's newest card: it must be the newest under their tag, or it was made for one reader. */
export async function checkLogged(log: Followed, server: string, user: string, card: string): Promise<void> {
  if (log.newest.get(await tagOf(server, user))?.card !== card) throw new InvalidLog("notLogged");
}

/** Checks the log state that a message names. A state beyond what is known here cannot be checked yet. */
export function checkMark(log: Followed, [size, root]: readonly [size: number, root: string]): void {
  if (size > 0 && size <= log.tree.size && log.roots[size - 1] !== root) throw new InvalidLog("forked");
}

/** What the client continues from. */
export interface Continuation {
  server: string;
  serverKey: Bytes;
  entries: readonly Bytes[];
  head: SignedHead;
  /** The user's own tag and the hashes of their own cards: any other card under that tag was made by someone else. */
  own: { tag: string; cards: ReadonlySet<string> };
}

/** Follows the log; throws `InvalidLog`. */
export async function followLog(held: Followed, next: Continuation): Promise<Followed> {
  if (held.serverKey && !sameBytes(held.serverKey, next.serverKey)) throw new InvalidLog("server");
  const signature = fromBase64(next.head.signature);
  const text = concat(label("log"), utf8(next.head.head));
  if (!(await verifies(next.serverKey, signature, text))) throw new InvalidLog("signature");
  const { v, server, size, root } = readCanonical(next.head.head, 256);
  if (v !== 1 || typeof size !== "number" || typeof root !== "string") throw new InvalidLog("form");
  if (server !== next.server) throw new InvalidLog("server");
  if (size < held.tree.size) throw new InvalidLog("shorter");
  let { tree } = held;
  const newest = new Map(held.newest);
  const roots = [...held.roots];
  for (const entry of next.entries) {
    if (entry.length !== ENTRY_LENGTH) throw new InvalidLog("form");
    const tag = hex(entry.slice(0, 32));
    const n = Number(new DataView(entry.buffer, entry.byteOffset).getBigUint64(32));
    const card = hex(entry.slice(40));
    if (n !== (newest.get(tag)?.n ?? 0) + 1) throw new InvalidLog("order");
    if (tag === next.own.tag && !next.own.cards.has(card)) throw new InvalidLog("notMine");
    newest.set(tag, { n, card });
    tree = await append(tree, entry);
    roots.push(await rootOf(tree));
  }
  if (tree.size !== size || (await rootOf(tree)) !== root) throw new InvalidLog("root");
  return { tree, serverKey: next.serverKey, newest, roots };
}
