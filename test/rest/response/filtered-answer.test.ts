import { gunzipSync, gzipSync } from 'node:zlib';
import t from 'tap';
import { NO_CORS } from '../../../src/rest/cors.ts';
import { exchangeRaw, readAnswer, recordingUpstream, startGateway } from '../lane-fixture.ts';

const LIST = '{"result":{"collections":[{"name":"a"},{"name":"secret"}]},"status":"ok","time":0.1}';
const TELEMETRY =
  '{"result":{"id":"x","app":{"name":"qdrant","version":"1.19.0"},"collections":{"number_of_collections":2,"collections":[]}},"status":"ok","time":0.1}';
const BROKEN = '{"status":{"error":"upstream gave no valid answer"},"time":0.0}';

interface Reply {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body: string | Buffer;
}

t.test('answers that hide entries from a list', async (t) => {
  let reply: Reply = { body: LIST };
  const upstream = await recordingUpstream((_request, response) => {
    const { status = 200, headers = {}, body } = reply;
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
  });
  const gateway = await startGateway(upstream.port, {
    cors: NO_CORS,
    maxFilteredBytes: 10_000,
    telemetry: { jwtRbac: true, hideJwtDashboard: undefined, audit: undefined },
  });
  t.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const ask = async (path: string, who: string, headers = '') => {
    upstream.received.length = 0;
    const { text } = await exchangeRaw(
      gateway.port,
      `GET ${path} HTTP/1.1\r\nhost: x\r\napi-key: ${who}\r\n${headers}connection: close\r\n\r\n`,
    );
    return readAnswer(text);
  };

  const coded = 'accept-encoding: gzip\r\nrange: bytes=0-5\r\nif-none-match: "y"\r\n';
  reply = { body: LIST, headers: { etag: '"y"', 'last-modified': 'x', 'content-length': String(LIST.length) } };
  const seen = await ask('/collections', 'listA', coded);
  const plain = gunzipSync(Buffer.from(seen.body, 'latin1')).toString();
  t.strictSame(JSON.parse(plain).result, { collections: [{ name: 'a' }] });
  t.match(
    seen.head,
    /content-encoding: gzip\r\nvary: accept-encoding/,
    'in the coding that the client takes, as natively',
  );
  t.match(seen.head, new RegExp(`content-length: ${seen.body.length}(\r\n|$)`), 'with its own length');
  t.notMatch(seen.head, /etag|last-modified/, 'and no mark of the other bytes');
  t.notMatch(
    upstream.received[0]?.headers.join('|'),
    /accept-encoding|range|if-none-match/,
    'upstream is asked for the whole, plain answer',
  );
  t.equal((await ask('/collections', 'listNone')).body.includes('secret'), false, 'an empty list sees nothing');
  t.equal((await ask('/collections', 'main', coded)).body, LIST, 'a global access sees all');
  t.match(upstream.received[0]?.headers.join('|'), /accept-encoding\|gzip/, 'asked for as the client did');

  const faulty: readonly (readonly [name: string, reply: Reply])[] = [
    ['a coded answer', { body: gzipSync(LIST), headers: { 'content-encoding': 'gzip' } }],
    ['a coded refusal', { status: 500, body: gzipSync(LIST), headers: { 'content-encoding': 'gzip' } }],
    ['a part of an answer', { status: 206, body: LIST }],
    ['no JSON', { body: 'secret' }],
    ['another shape', { body: '["secret"]' }],
  ];
  for (const [name, given] of faulty) {
    reply = given;
    const answer = await ask('/collections', 'listA');
    t.strictSame([answer.status, answer.body], [502, BROKEN], `${name} is not given to a list`);
  }
  reply = { body: `{"result":{"collections":[${'{"name":"a"},'.repeat(2_000)}{"name":"a"}]}}` };
  t.equal((await ask('/collections', 'listA')).status, 500, 'nor is one that is too large');
  reply = { status: 503, body: '{"status":{"error":"busy"}}' };
  t.strictSame(
    [(await ask('/collections', 'listA')).status, (await ask('/collections', 'listA')).body],
    [503, '{"status":{"error":"upstream answered 503"},"time":0.0}'],
    'what upstream refuses with may name anything',
  );

  reply = { body: TELEMETRY };
  for (const who of ['main', 'read', 'listA']) {
    t.equal(
      JSON.parse((await ask('/telemetry', who)).body).result.app.jwt_rbac,
      true,
      `telemetry says to ${who} that tokens are on`,
    );
  }
  await ask('/telemetry?details_level=1&x=y', 'listA');
  t.strictSame(
    upstream.received.map((one) => one.target),
    ['/telemetry?details_level=3&x=y'],
    'a list\u2019s level is asked for where names are',
  );
  await ask('/telemetry?details_level=1', 'main');
  t.strictSame(
    upstream.received.map((one) => one.target),
    ['/telemetry?details_level=1'],
    'others\u2019 as it is',
  );
  reply = { body: 'no json' };
  t.equal((await ask('/telemetry', 'main')).body, 'no json', 'what cannot be patched passes to a global access');
  t.equal((await ask('/telemetry', 'listA')).status, 502);
  t.strictSame(gateway.faults, [], 'a limit is no fault');
});
