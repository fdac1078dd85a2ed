import { createHash } from 'node:crypto';
import { createServer as createRest } from 'node:http';
import { createServer as createGrpc, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';

/*
 * A node in a process of its own: `grpc-node.ts REST_PORT GRPC_PORT [DELAY_MS]`. It prints its ports, and then the `x-call` of
 * each write that it runs, before it answers. An answer is the `x-call`; with `x-down`, the SHA-256 of the request and so many
 * bytes of 7.
 */

const [restPort = 0, grpcPort = 0, delayMs = 0] = process.argv.slice(2).map(Number);

const rest = createRest((request, response) => {
  const isRoot = request.url === '/';
  response.writeHead(200, { 'content-type': isRoot ? 'application/json' : 'text/plain' });
  response.end(
    isRoot ? '{"title":"qdrant - vector search engine","version":"1.19.0","commit":"0"}' : 'all shards are ready',
  );
});

function answer(stream: ServerHttp2Stream, message: Buffer): void {
  if (stream.destroyed) return;
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([head, message]));
}

const grpc = createGrpc();
grpc.on('sessionError', () => undefined);
grpc.on('stream', (stream: ServerHttp2Stream, headers) => {
  stream.on('error', () => undefined);
  const hash = createHash('sha256');
  stream.on('data', (chunk: Buffer) => hash.update(chunk));
  stream.on('end', () => {
    const call = String(headers['x-call']);
    const down = headers['x-down'];
    const message =
      down === undefined ? Buffer.from(call) : Buffer.concat([hash.digest(), Buffer.alloc(Number(down), 7)]);
    if (String(headers[':path']).endsWith('/Upsert')) process.stdout.write(`${call}\n`);
    if (delayMs > 0) setTimeout(() => answer(stream, message), delayMs);
    else answer(stream, message);
  });
});

rest.listen(restPort, '127.0.0.1', () => {
  grpc.listen(grpcPort, '127.0.0.1', () => {
    const ports = [rest, grpc].map((server) => (server.address() as AddressInfo).port);
    process.stdout.write(`ports ${ports.join(' ')}\n`);
  });
});
