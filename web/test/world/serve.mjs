// Serves dist/ as the server will, with its Content-Security-Policy, and hands calls and sockets on to a running server.
// `node test/world/serve.mjs PORT` with PARLANCE_URL, or `serve()` in a test.

import { readFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { connect } from "node:net";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const dist = join(dirname(fileURLToPath(import.meta.url)), "../../dist");
const types = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
  ".webmanifest": "application/manifest+json",
};
const policy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "font-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types parlance",
].join("; ");

async function file(path) {
  const name = normalize(path === "/" ? "/index.html" : path);
  const body = await readFile(join(dist, name));
  return { body, type: types[extname(name)] ?? "application/octet-stream" };
}

/** Serves on a port (0: any free one); answers the address, and what ends it or cuts all connections. */
export function serve(target, port = 0) {
  const to = new URL(target);
  const sockets = new Set();
  let isCut = false;
  const server = createServer((asked, answer) => {
    if (isCut) return asked.destroy();
    const { pathname } = new URL(asked.url, target);
    if (asked.method === "GET") {
      file(pathname).then(
        ({ body, type }) => answer.writeHead(200, { "Content-Type": type, "Content-Security-Policy": policy, "Cache-Control": "no-cache" }).end(body),
        () => answer.writeHead(404).end(),
      );
      return;
    }
    const on = request({ host: to.hostname, port: to.port, path: asked.url, method: asked.method, headers: asked.headers }, (got) => {
      answer.writeHead(got.statusCode, got.headers);
      got.pipe(answer);
    });
    on.on("error", () => answer.destroy());
    asked.pipe(on);
  });
  server.on("upgrade", (asked, socket, head) => {
    if (isCut) return socket.destroy();
    const on = connect(Number(to.port), to.hostname, () => {
      const headers = asked.rawHeaders.reduce((text, part, i) => text + part + (i % 2 ? "\r\n" : ": "), "");
      on.write(`${asked.method} ${asked.url} HTTP/1.1\r\n${headers}\r\n`);
      on.write(head);
      on.pipe(socket).pipe(on);
    });
    for (const one of [on, socket]) one.on("error", () => (on.destroy(), socket.destroy()));
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  const drop = () => sockets.forEach((socket) => socket.destroy());
  return new Promise((resolve) => {
    server.listen(port, "127.0.0.1", () => {
      resolve({
        address: `http://127.0.0.1:${server.address().port}/`,
        cut: (on) => {
          isCut = on;
          if (on) drop();
        },
        close: () => {
          drop();
          server.close();
        },
      });
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { address } = await serve(process.env.PARLANCE_URL, Number(process.argv[2] ?? 4711));
  console.log(address);
}
