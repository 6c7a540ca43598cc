// Delayed tasks of the leading tab, so that repetitions are combined: receipts, new epochs, the vault. What fails is tried again with
// the next change, or after the next connection.

import { randomUnit } from "../crypto/bytes.ts";
import { OldVault } from "../crypto/vault.ts";
import type { ConversationId } from "../model/ids.ts";
import type { Account } from "./account.ts";
import { setAlarm } from "./alarm.ts";
import { Delayed } from "./delayed.ts";
import { sendReceipts } from "./receipts.ts";
import { allDue, renewDelayMs, renewIfDue } from "./renew.ts";
import { compareVault, keepVault } from "./vault.ts";

const RECEIPTS_MS = 300;
const VAULT_MS = 1000;
/** How often to look whether another device has written the vault, which the server does not announce. */
const COMPARE_VAULT_MS = 600_000;

/** The delayed tasks. */
export class Maintenance {
  private readonly receipts: Delayed<ConversationId>;
  private readonly renewals: Delayed<ConversationId>;
  private readonly vault: Delayed<"write">;
  private vaultComparedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly account: Account,
    private readonly onFault: (error: unknown) => void,
  ) {
    this.receipts = new Delayed(account.clock);
    this.renewals = new Delayed(account.clock);
    this.vault = new Delayed(account.clock);
  }

  /** Nothing is begun after this. */
  stop(): void {
    for (const timers of [this.receipts, this.renewals, this.vault]) timers.stop();
  }

  private attempt(task: Promise<void>): void {
    task.catch((error: unknown) => this.onFault(error));
  }

  /** Messages have arrived, or were seen: sends receipts. */
  receiptsSoon(id: ConversationId): void {
    const send = (): void => this.attempt(sendReceipts(this.account, id));
    // Another tab of this browser may be visible: what was seen there is not reported a minute later.
    if (this.account.clock.isLate?.()) send();
    else this.receipts.restart(id, RECEIPTS_MS, send);
  }

  /** People may have changed: writes their pins into the vault. */
  peopleChanged(): void {
    this.vault.once("write", VAULT_MS, () => this.attempt(this.guarded(() => keepVault(this.account))));
  }

  /** After a resync: starts what is due. */
  async compared(): Promise<void> {
    for (const { gone, wire, head, deliveredTold } of await this.account.store.conversations()) {
      if (!gone && head && head.seq > deliveredTold) this.receiptsSoon(wire.id);
    }
    for (const id of await allDue(this.account)) {
      this.renewals.once(id, renewDelayMs(randomUnit()), () => this.attempt(renewIfDue(this.account, id)));
    }
    const now = this.account.clock.now();
    if (now - this.vaultComparedAt < COMPARE_VAULT_MS) return;
    this.vaultComparedAt = now;
    this.attempt(this.guarded(() => compareVault(this.account)));
  }

  private async guarded(task: () => Promise<void>): Promise<void> {
    try {
      await task();
      await setAlarm(this.account, ["vault"], null);
    } catch (error) {
      if (error instanceof OldVault) await setAlarm(this.account, ["vault"], "vault");
      throw error;
    }
  }
}
