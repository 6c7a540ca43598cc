// A proxy between browsers and a server: one address whichever port the server has, connections that can be cut, and a client that can
// be upgraded.

import { existsSync, readFileSync } from "node:fs";
import { createServer, request as forward } from "node:http";
import { connect } from "node:net";
import { extname, join } from "node:path";
import { pipeline } from "node:stream";

const types = { ".css": "text/css", ".js": "text/javascript", ".html": "text/html", ".svg": "image/svg+xml", ".woff2": "font/woff2", ".webmanifest": "application/manifest+json" };

/** Serves a file of a client from a folder, edited by `change`; false if there is no such file. */
function serveFile(folder, { method, path, change }, response) {
  const name = path === "/" ? "/index.html" : path;
  if (method !== "GET" || name.includes("?") || name.includes("..") || !existsSync(join(folder, name))) return false;
  const isPacked = !change && existsSync(join(folder, `${name}.br`));
  const caching = name.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache";
  response.writeHead(200, { "content-type": types[extname(name)] ?? "text/plain", "cache-control": caching, ...(isPacked && { "content-encoding": "br" }) });
  const bytes = readFileSync(join(folder, isPacked ? `${name}.br` : name));
  response.end(change ? change(bytes.toString()) : bytes);
  return true;
}

/** A file of the client as a later release would have it: other names for what it loads, no integrity hashes, another cache. */
const released = (text, release) =>
  text
    .replace(/(-[A-Z0-9]{8})(\.(?:js|css|woff2|svg))/g, `$1.${release}$2`)
    .replace(/ integrity="[^"]*"/g, "")
    .replace(/(["'`]|parlance-)([0-9a-f]{12})(?=["'`])/g, `$1$2-${release}`);

/**
 * Starts it. `upstream` returns the server's present address; `cut` breaks open and new connections, until `restore`. The variable
 * CLIENT names a folder whose client is served instead of the one in the server's binary: `dist`.
 */
export async function openProxy(upstream) {
  const sockets = new Set();
  let isOpen = true;
  let release = 0;
  const listeners = new Set();

  const server = createServer((request, response) => {
    if (!isOpen) return request.socket.destroy();
    for (const listener of listeners) listener(request);
    const { url, method } = request;
    const [, name, ofRelease = "0", end] = /^(\/assets\/.*-[A-Z0-9]{8})(?:\.(\d+))?(\.\w+)$/.exec(url) ?? [];
    // The server has the files of one version only.
    if (name && Number(ofRelease) !== release) return response.writeHead(404).end();
    const path = name ? name + end : url;
    const isChanged = release > 0 && method === "GET" && (name ? /^\.(?:js|css)$/.test(end) : ["/", "/sw.js"].includes(path));
    const change = isChanged ? (text) => released(text, release) : null;
    if (process.env.CLIENT && serveFile(process.env.CLIENT, { method, path, change }, response)) return undefined;
    const { "accept-encoding": _encoding, "if-none-match": _tag, ...plain } = request.headers;
    const headers = change ? plain : request.headers;
    const sent = forward(upstream(), { path, method, headers, agent: false }, (got) => {
      if (!change) {
        response.writeHead(got.statusCode, got.headers);
        return pipeline(got, response, () => undefined);
      }
      const { "content-length": _length, ...others } = got.headers;
      response.writeHead(got.statusCode, others);
      let text = "";
      got.setEncoding("utf8").on("data", (more) => (text += more));
      return got.on("end", () => response.end(change(text)));
    });
    sent.on("error", () => response.destroy());
    return pipeline(request, sent, () => undefined);
  });
  server.on("upgrade", ({ method, url, headers }, socket, head) => {
    if (!isOpen) return socket.destroy();
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
      isOpen = false;
      for (const socket of sockets) socket.destroy();
    },
    restore: () => {
      isOpen = true;
    },
    /** Resolves after `n` requests that `picks` accepts. */
    requests: (n, picks) =>
      new Promise((resolve) => {
        let left = n;
        listeners.add(function count(request) {
          if (!picks(request) || (left -= 1) > 0) return;
          listeners.delete(count);
          resolve();
        });
      }),
    /** The server has another version of the client from now on: its files have other names, and those of the one before are gone. */
    upgrade: () => {
      release += 1;
    },
    end: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
