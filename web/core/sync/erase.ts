// What was erased on the server is erased here, too: what is left of a row is its place in the chain.

import { change } from "../store/store.ts";
import type { Frame } from "../wire/notification.ts";
import type { Account } from "./account.ts";

/** Deletes what messages say, here. */
export async function takeErased({ store, serial, tell }: Account, erased: Frame["erased"]): Promise<void> {
  for (const { conversationid: id, messageids } of erased) {
    await serial.run(async () => {
      for (const message of messageids) {
        const seq = await store.seqOf(id, message);
        const [row] = seq === undefined ? [] : await store.rows(id, seq, seq);
        if (row && row.Data !== "") await store.write(...change.row(id, { ...row, Data: "" }));
      }
      tell({ conversations: [id] });
    });
  }
}
