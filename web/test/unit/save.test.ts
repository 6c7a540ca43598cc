// A large file that the worker saves: the worker is pinged, and the user is told when it has gone.

import "./ui-globals.ts";
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import type { FileInfo, SaveMessage } from "../../core/index.ts";
import { save } from "../../ui/files/save.ts";

const SECOND = 1000;
const file = { size: 2 ** 27, name: "film.mp4" } as FileInfo;

/** A fake worker: what it received, and what it answers. */
class Worker {
  private port: MessagePort | null = null;
  /** What it answers when it is asked; null: nothing. */
  saves: boolean | null = true;
  asked = 0;
  private readonly unanswered: MessagePort[] = [];

  postMessage(message: { download: FileInfo } | { saving: string }, [port]: [MessagePort]): void {
    if ("download" in message) {
      this.port = port;
      this.says({ address: "download/1" });
      return;
    }
    assert.equal(message.saving, "download/1");
    this.asked += 1;
    if (this.saves !== null) port.postMessage(this.saves);
    else this.unanswered.push(port);
  }

  says(heard: SaveMessage): void {
    this.port?.postMessage(heard);
  }

  /** Nothing comes from it any more, and the test's program does not wait for it. */
  end(): void {
    for (const port of this.unanswered) port.close();
    this.port?.close();
  }
}

let worker = new Worker();
let clicks = 0;
Object.assign(globalThis, { document: { createElement: () => ({ click: () => (clicks += 1) }) } });
beforeEach((t) => {
  worker = new Worker();
  clicks = 0;
  Object.assign(navigator, { serviceWorker: { controller: worker } });
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  if ("after" in t) t.after(() => mock.timers.reset());
});

/** All that was said has arrived. */
async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}
/** Saves it; `is` hears how it ended, or that it has not. */
async function begins(): Promise<{ heard: number[]; isOver: () => boolean; over: Promise<void> }> {
  const heard: number[] = [];
  let isOver = false;
  const over = save(file, (done) => void heard.push(done)).then(() => {
    isOver = true;
  });
  await settled();
  assert.equal(clicks, 1);
  return { heard, isOver: () => isOver, over };
}
async function pass(seconds: number): Promise<void> {
  for (let i = 0; i < seconds; i += 10) {
    mock.timers.tick(10 * SECOND);
    await settled();
  }
}

test("a worker that saves is pinged every ten seconds, for as long as it takes", async () => {
  const { heard, isOver, over } = await begins();
  await pass(600);
  assert.deepEqual([worker.asked, isOver()], [60, false]);
  worker.says({ done: 5 });
  worker.says({ ended: null });
  await over;
  assert.deepEqual(heard, [5]);
  await pass(60);
  assert.equal(worker.asked, 60);
  worker.end();
});

test("a worker that was restarted, and knows nothing of the file, has ended it", async () => {
  const { over, isOver } = await begins();
  worker.says({ done: 5 });
  await pass(20);
  assert.equal(isOver(), false);
  worker.saves = false;
  await pass(20);
  await over;
  worker.end();
});

test("a worker that no longer answers has ended it; its last messages count", async () => {
  const { over, isOver } = await begins();
  worker.saves = null;
  for (let i = 1; i < 10; i++) {
    await pass(30);
    assert.equal(isOver(), false);
    worker.says({ done: i });
    await settled();
  }
  await pass(40);
  await over;
  worker.end();
});
