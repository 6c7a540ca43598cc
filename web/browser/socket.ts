// Sockets by WebSocket; in Node from version 22 on, or with --experimental-websocket.

import type { OpenSocket } from "../core/ports.ts";

/** Sockets to the server at this address, which ends with a slash. */
export const socketTo =
  (base: string): OpenSocket =>
  (path, { onOpen, onFrame, onClose }, protocols) => {
    const socket = new WebSocket(base.replace(/^http/, "ws") + path, [...protocols]);
    socket.addEventListener("open", () => onOpen());
    socket.addEventListener("message", ({ data }) => {
      if (typeof data === "string") onFrame(data);
    });
    let isClosed = false;
    const closed = (code: number): void => {
      if (isClosed) return;
      isClosed = true;
      onClose(code);
    };
    socket.addEventListener("close", ({ code }) => closed(code));
    // Node 20 gives no close code for a refused handshake.
    socket.addEventListener("error", () => closed(1006));
    return {
      send: (text) => {
        if (socket.readyState === WebSocket.OPEN) socket.send(text);
      },
      close: () => socket.close(),
    };
  };
