import { readFileSync } from 'node:fs';
import httpProxy from '@fastify/http-proxy';
import fastify from 'fastify';

/*
 * The peer "bare Fastify": TLS, a key compared in a hook, everything forwarded by @fastify/http-proxy. It never compares
 * in constant time and knows no collections: an example of what is measured, not of a gateway.
 *
 *   BENCH_KEY=... node test/bench/peers/fastify-proxy.ts <port> <upstream port> <cert file> <key file>
 */
const LARGEST_BODY = 1_073_741_824;
const [port, upstreamPort, cert = '', key = ''] = process.argv.slice(2);
const app = fastify({ bodyLimit: LARGEST_BODY, https: { cert: readFileSync(cert), key: readFileSync(key) } });
await app.register(httpProxy, {
  upstream: `http://127.0.0.1:${upstreamPort}`,
  preHandler: (request, reply, done) => {
    if (request.headers['api-key'] === process.env.BENCH_KEY) done();
    else void reply.code(401).send();
  },
  replyOptions: {
    rewriteRequestHeaders: (_, headers) => ({ ...headers, 'api-key': undefined }),
  },
});
await app.listen({ host: '127.0.0.1', port: Number(port) });
