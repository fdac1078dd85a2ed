import { gzipSync } from 'node:zlib';
import t from 'tap';
import { Agent, request } from 'undici';
import { KEYS, startGateway, type TestGateway } from '../../support/gateway.ts';

const off = await startGateway({ settings: { 'service.enable_snapshot_url_recovery': false } });
const on = await startGateway();
const agent = new Agent({ connect: { ca: off.ca } });
t.teardown(async () => {
  await agent.destroy();
  await Promise.all([off.close(), on.close()]);
});

const RECOVER = '/collections/docs/snapshots/recover';
const SHARD = '/collections/docs/shards/0/snapshots/recover';
const PEER = '/collections/docs/shards/0/snapshot/partial/recover_from';

async function send(
  gateway: TestGateway,
  method: 'PUT' | 'POST',
  path: string,
  body: string | Buffer,
  coding?: string,
) {
  gateway.upstream.recorder.clear();
  const answer = await request(`${gateway.rest.url}${path}`, {
    method,
    dispatcher: agent,
    headers: {
      'api-key': KEYS.admin,
      'content-type': 'application/json',
      ...(coding ? { 'content-encoding': coding } : {}),
    },
    body,
  });
  const text = await answer.body.text();
  return { status: answer.statusCode, text, upstream: gateway.upstream.recorder.rest.length };
}

const refused: readonly [name: string, method: 'PUT' | 'POST', path: string, body: string | Buffer, coding?: string][] =
  [
    ['an http location', 'PUT', RECOVER, '{"location":"http://10.0.0.1/x"}'],
    ['an https location', 'PUT', RECOVER, '{"location":"https://10.0.0.1/x"}'],
    ['upper case', 'PUT', RECOVER, '{"location":"HTTP://10.0.0.1/x"}'],
    ['an escaped key and value', 'PUT', RECOVER, '{"loc\\u0061tion":"http\\u003a//10.0.0.1/x"}'],
    ['a second location', 'PUT', RECOVER, '{"location":"file:///a","location":"http://10.0.0.1/x"}'],
    ['a struct written as an array', 'PUT', RECOVER, '["http://10.0.0.1/x"]'],
    ['compressed', 'PUT', RECOVER, gzipSync('{"location":"http://10.0.0.1/x"}'), 'gzip'],
    ['a body that is no JSON', 'PUT', RECOVER, 'location'],
    ['blanks before it', 'PUT', SHARD, '{"location":" \\t\\u0001http://10.0.0.1/x"}'],
    ['a tab within it', 'PUT', SHARD, '{"location":"ht\\ttp://10.0.0.1/x"}'],
    ['without slashes', 'PUT', SHARD, '{"location":"https:10.0.0.1"}'],
    ['a location that is no text', 'PUT', SHARD, '{"location":["http://10.0.0.1/x"]}'],
    ['of a shard', 'PUT', SHARD, '{"location":"http://10.0.0.1/x"}'],
    ['from a peer', 'POST', PEER, '{"peer_url":"http://10.0.0.1"}'],
  ];

for (const [name, method, path, body, coding] of refused) {
  t.test(`recovery from a URL is refused to every caller when it is off: ${name}`, async (t) => {
    const answer = await send(off, method, path, body, coding);
    t.equal(answer.status, 403);
    t.match(answer.text, /Forbidden: Snapshot recovery from a URL is disabled/);
    t.equal(answer.upstream, 0, 'nothing reached upstream');
  });
}

t.test('a file location passes when it is off, a URL passes when it is on', async (t) => {
  t.match(await send(off, 'PUT', RECOVER, '{"location":"file:///snapshots/a","priority":"snapshot"}'), {
    status: 200,
    upstream: 1,
  });
  for (const location of ['/qdrant/snapshots/a', 'a.snapshot', './http/a', 'file:///a'])
    t.match(await send(off, 'PUT', SHARD, JSON.stringify({ location })), { upstream: 1 }, `of a shard: ${location}`);
  t.match(await send(on, 'PUT', RECOVER, '{"location":"http://10.0.0.1/x"}'), { status: 200, upstream: 1 });
  t.match(await send(on, 'POST', PEER, '{"peer_url":"http://10.0.0.1"}'), { upstream: 1 });
});

t.test('a body whose location was looked at is measured as well, and read only once', async (t) => {
  const both = await startGateway({
    settings: { 'service.enable_snapshot_url_recovery': false, 'gateway.limits.nesting_guard': 'all' },
  });
  t.teardown(() => both.close());
  t.match(await send(both, 'PUT', RECOVER, '{"location":"file:///snapshots/a"}'), { upstream: 1 });
  const deep = `{"location":"file:///snapshots/a","x":${'['.repeat(62)}${']'.repeat(62)}}`;
  t.match(await send(both, 'PUT', RECOVER, deep), { upstream: 1 });
  const http = await send(both, 'PUT', RECOVER, '{"location":"http://10.0.0.1/x"}');
  t.match(http, { status: 403, upstream: 0 });
});
