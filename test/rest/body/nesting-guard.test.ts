import { gzipSync } from 'node:zlib';
import t from 'tap';
import { Agent, request } from 'undici';
import { mintToken } from '../../../src/identity/token.ts';
import { KEYS, startGateway } from '../../support/gateway.ts';

const gateway = await startGateway();
const agent = new Agent({ connect: { ca: gateway.ca } });
t.teardown(async () => {
  await agent.destroy();
  await gateway.close();
});

const scoped = await mintToken({ access: [{ collection: 'docs', access: 'rw' }] }, KEYS.admin);
const DELETE = '/collections/docs/points/delete';
const SCROLL = '/collections/docs/points/scroll';

/** A filter that nests `levels` deep, the outermost object included. */
function nested(levels: number, filler = ''): string {
  const inner = Math.floor((levels - 2) / 2);
  const rest = (levels - 2) % 2;
  return `{"pad":"${filler}","filter":${'{"must":['.repeat(inner)}${rest ? '{}' : ''}${']}'.repeat(inner)}}`.replace(
    '"filter":}',
    '"filter":{}}',
  );
}

function depthOf(text: string): number {
  let depth = 0;
  let most = 0;
  for (const char of text.replace(/"[^"]*"/g, '')) {
    if (char === '{' || char === '[') most = Math.max(most, ++depth);
    if (char === '}' || char === ']') depth--;
  }
  return most;
}

async function send(path: string, key: string, body: string | Buffer, headers: Record<string, string> = {}) {
  gateway.upstream.recorder.clear();
  const answer = await request(`${gateway.rest.url}${path}`, {
    method: 'POST',
    dispatcher: agent,
    headers: { 'api-key': key, 'content-type': 'application/json', ...headers },
    body,
  });
  const text = await answer.body.text();
  const complete = gateway.upstream.recorder.rest.filter(({ state }) => state === 'complete').length;
  return { status: answer.statusCode, text, started: gateway.upstream.recorder.rest.length, complete };
}

const long = 'x'.repeat(400_000);
const deep = nested(70);
const shallow = nested(62);
t.ok(depthOf(deep) > 64 && depthOf(shallow) <= 64, 'the bodies nest as the cases say');

const cases: readonly {
  readonly name: string;
  readonly path: string;
  readonly key: string;
  readonly body: string | Buffer;
  readonly headers?: Record<string, string>;
  readonly served: boolean;
}[] = [
  { name: 'a collection token, a write too deep', path: DELETE, key: scoped, body: deep, served: false },
  { name: 'a collection token, a write deep enough', path: DELETE, key: scoped, body: shallow, served: true },
  { name: 'a read-only key, a read too deep', path: SCROLL, key: KEYS.readOnly, body: deep, served: false },
  { name: 'a read-only key, a read deep enough', path: SCROLL, key: KEYS.readOnly, body: shallow, served: true },
  {
    name: 'without a content type',
    path: DELETE,
    key: scoped,
    body: deep,
    headers: { 'content-type': 'text/plain' },
    served: false,
  },
  {
    name: 'compressed, too deep',
    path: DELETE,
    key: scoped,
    body: gzipSync(deep),
    headers: { 'content-encoding': 'gzip' },
    served: false,
  },
  {
    name: 'compressed, deep enough',
    path: DELETE,
    key: scoped,
    body: gzipSync(shallow),
    headers: { 'content-encoding': 'gzip' },
    served: true,
  },
  {
    name: 'a query the shortcut would settle',
    path: '/collections/docs/points/query',
    key: scoped,
    body: deep,
    served: false,
  },
  { name: 'global manage is trusted', path: SCROLL, key: KEYS.admin, body: deep, served: true },
];

for (const { name, path, key, body, headers, served } of cases) {
  t.test(name, async (t) => {
    const answer = await send(path, key, body, headers);
    t.equal(answer.started, served ? 1 : 0, served ? 'reached upstream' : 'nothing reached upstream');
    if (served) return;
    t.equal(answer.status, 400);
    t.match(answer.text, /nests too deeply/);
  });
}

t.test('a large body streams, but its end never comes when it nests too deeply', async (t) => {
  const refused = await send(DELETE, scoped, nested(70, long));
  t.equal(refused.status, 400);
  t.equal(refused.complete, 0, 'upstream never had the whole of it');
  const served = await send(DELETE, scoped, nested(62, long));
  t.equal(served.complete, 1);
});
