// The way between browsers and a server: one address, whichever port the server has, that can be cut.

import { existsSync, readFileSync } from "node:fs";
import { createServer, request as forward } from "node:http";
import { connect } from "node:net";
import { extname, join } from "node:path";
import { pipeline } from "node:stream";

const types = { ".css": "text/css", ".js": "text/javascript", ".html": "text/html", ".svg": "image/svg+xml", ".woff2": "font/woff2", ".webmanifest": "application/manifest+json" };

/** Answers with a file of a client that lies in a folder, the worker with `release` after it; false if it is none. */
function servesFile(folder, { method, url }, answer, release) {
  const name = url === "/" ? "/index.html" : url;
  if (method !== "GET" || name.includes("?") || name.includes("..") || !existsSync(join(folder, name))) return false;
  const end = name === "/sw.js" ? release : "";
  const isPacked = end === "" && existsSync(join(folder, `${name}.br`));
  const caching = name.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache";
  answer.writeHead(200, { "content-type": types[extname(name)] ?? "text/plain", "cache-control": caching, ...(isPacked && { "content-encoding": "br" }) });
  answer.end(Buffer.concat([readFileSync(join(folder, isPacked ? `${name}.br` : name)), Buffer.from(end)]));
  return true;
}

/**
 * Opens it. `upstream` answers where the server is now; `cut` breaks all that is open and what comes, until `mend`. CLIENT names
 * a folder whose client is served instead of the one in the server's binary: `dist`.
 */
export async function openWay(upstream) {
  const sockets = new Set();
  let whole = true;
  let release = "";
  const listeners = new Set();

  const server = createServer((question, answer) => {
    if (!whole) return question.socket.destroy();
    for (const listener of listeners) listener(question);
    if (process.env.CLIENT && servesFile(process.env.CLIENT, question, answer, release)) return undefined;
    const { url: path, method } = question;
    const isWorker = path === "/sw.js" && release !== "";
    const { "accept-encoding": _encoding, "if-none-match": _tag, ...plain } = question.headers;
    const headers = isWorker ? plain : question.headers;
    const sent = forward(upstream(), { path, method, headers, agent: false }, (got) => {
      if (isWorker) got.headers["content-length"] = String(Number(got.headers["content-length"]) + release.length);
      answer.writeHead(got.statusCode, got.headers);
      if (!isWorker) return pipeline(got, answer, () => undefined);
      got.on("data", (bytes) => answer.write(bytes));
      return got.on("end", () => answer.end(release));
    });
    sent.on("error", () => answer.destroy());
    return pipeline(question, sent, () => undefined);
  });
  server.on("upgrade", ({ method, url, headers }, socket, head) => {
    if (!whole) return socket.destroy();
    const { hostname, port } = new URL(upstream());
    const up = connect(Number(port), hostname, () => {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      up.write(`${method} ${url} HTTP/1.1\r\n${lines.join("")}\r\n`);
      up.write(head);
      up.pipe(socket).pipe(up);
    });
    for (const one of [up, socket]) {
      one.on("error", () => undefined);
      one.on("close", () => [up, socket].forEach((both) => both.destroy()));
    }
    return undefined;
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));

  return {
    address: `http://127.0.0.1:${server.address().port}/`,
    cut: () => {
      whole = false;
      for (const socket of sockets) socket.destroy();
    },
    mend: () => {
      whole = true;
    },
    /** Resolves when so many requests have come that `picks` accepts. */
    heard: (n, picks) =>
      new Promise((resolve) => {
        let left = n;
        listeners.add(function count(question) {
          if (!picks(question) || (left -= 1) > 0) return;
          listeners.delete(count);
          resolve();
        });
      }),
    /** The server has another version from now on: its worker differs. */
    upgrade: () => {
      release += "// newer\n";
    },
    end: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
