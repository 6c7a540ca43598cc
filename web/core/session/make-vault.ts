// Makes vaults: for new accounts, for accounts of the published form, and new versions.

import { type Bytes, random } from "../crypto/bytes.ts";
import { type Argon2id, DEFAULTS } from "../crypto/kdf.ts";
import { apikeyOfRoot, boxKeyOf, type Contents, sealBox, fillSlot, type Owner, type Vault, writeVault } from "../crypto/vault.ts";
import { rootOf } from "./login-context.ts";

/** The parts of a new password: hash parameters, apikey, and the vault's slot. */
export interface PasswordSlot {
  kdf: Argon2id;
  apikey: string;
  slot: string;
}

/** Fills the slot of a new password. */
export async function passwordSlot(password: string, master: Bytes, owner: Owner): Promise<PasswordSlot> {
  const kdf: Argon2id = { ...DEFAULTS, salt: random(16) };
  const root = await rootOf(password, kdf);
  return { kdf, apikey: await apikeyOfRoot(root, owner), slot: await fillSlot(master, root, owner, "password") };
}

/** A new recovery key, its apikey, and the vault's slot. */
export interface RecoverySlot {
  key: Bytes;
  apikey: string;
  slot: string;
}

/** Fills the slot of a new recovery key. */
export async function recoverySlot(master: Bytes, owner: Owner): Promise<RecoverySlot> {
  const key = random(32);
  return { key, apikey: await apikeyOfRoot(key, owner), slot: await fillSlot(master, key, owner, "recovery") };
}

/** A vault of this version, as it is written. */
export async function vaultOf(of: { version: number; slots: Vault["slots"]; master: Bytes; contents: Contents; owner: Owner }): Promise<string> {
  const { version, slots, master, contents, owner } = of;
  return writeVault({ version, slots, box: await sealBox(await boxKeyOf(master), contents, owner, version) });
}
