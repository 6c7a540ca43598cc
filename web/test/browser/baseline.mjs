// The time that the browser itself needs, without the client: the lower bound of the budgets for a keystroke and for delivery.

import { createHash } from "node:crypto";
import { createServer } from "node:http";

const page = `<!doctype html><title>Baseline</title><textarea></textarea><div id="log"></div><script>
  const socket = new WebSocket(location.href.replace("http", "ws"));
  const box = document.querySelector("textarea");
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    socket.send(box.value);
    box.value = "";
  });
  socket.addEventListener("message", ({ data }) => {
    const article = document.createElement("article");
    article.innerHTML = '<p class="text"></p>';
    article.firstChild.textContent = data;
    document.querySelector("#log").append(article);
  });
</script>`;

/** One frame of text, as a server sends it. */
const frameOf = (text) => Buffer.concat([Buffer.from([0x81, text.length]), text]);

/** What a short frame of a browser says; null if it is no text. */
function textOf(frame) {
  if ((frame[0] & 15) !== 1) return null;
  const mask = frame.subarray(2, 6);
  return Buffer.from(frame.subarray(6, 6 + (frame[1] & 127))).map((byte, i) => byte ^ mask[i % 4]);
}

/** Two empty pages, and a socket between them that relays messages. */
export async function openBaseline({ browser }) {
  const sockets = new Set();
  const server = createServer((_question, answer) => answer.setHeader("content-type", "text/html").end(page));
  server.on("upgrade", ({ headers }, socket) => {
    const accept = createHash("sha1").update(`${headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      const text = textOf(bytes);
      for (const other of text ? sockets : []) if (other !== socket) other.write(frameOf(text));
    });
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const open = async () => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    const tab = await context.newPage();
    await tab.goto(`http://127.0.0.1:${server.address().port}/`);
    return { context, tab, box: tab.locator("textarea") };
  };
  const [one, other] = [await open(), await open()];
  const end = async () => {
    for (const { context } of [one, other]) await context.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { one, other, end };
}
