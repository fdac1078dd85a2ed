import t from 'tap';
import { ODD_ANSWERS, playing } from '../rest/relay/odd-answers.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS } from '../support/gateway.ts';
import { FILE_MS } from '../support/patience.ts';
import { fieldOf, type PlainAnswer, plainly, type SentRequest } from '../support/transports/request.ts';
import { openTransports, TRANSPORTS, type Transport } from '../support/transports/transports.ts';

/*
 * Whatever upstream does comes to the same on every transport: its answers in odd forms, answers that break off, and its absence.
 * An answer that breaks off is the end of an HTTP/1.1 connection and the reset of an HTTP/2 stream.
 */

t.setTimeout(FILE_MS);

/** The answer, or `broken`. */
async function heard({ send }: Transport, request: SentRequest): Promise<PlainAnswer | 'broken'> {
  return await send(request).then(
    (answer) => (answer.status === 0 ? 'broken' : plainly(answer)),
    () => 'broken' as const,
  );
}

const ask = (method: string): SentRequest => ({ method, target: '/collections/a', headers: [['api-key', KEYS.admin]] });

t.test('answers in odd forms', async (t) => {
  let pieces: readonly string[] = [];
  const upstream = await playing(() => pieces);
  const settings = { 'gateway.upstream.rest_url': `http://127.0.0.1:${upstream.port}` };
  const transports = await openTransports({ settings });
  t.teardown(async () => {
    await transports.close();
    upstream.close();
  });
  const seen = new Set<number | 'broken'>();
  for (const [name, ...played] of ODD_ANSWERS) {
    pieces = played;
    for (const method of ['GET', 'HEAD']) {
      if (method === 'HEAD' && !/^(a length|chunked, empty|204|until the end)$/.test(name)) continue;
      const answers = await Promise.all(transports.all.map((transport) => heard(transport, ask(method))));
      t.strictSame(answers, Array(TRANSPORTS.length).fill(answers[0]), `${method}: ${name}`);
      const [first] = answers;
      if (first && first !== 'broken' && first.status === 204)
        t.equal(fieldOf(first, 'content-length'), undefined, 'a 204 has no length (RFC 9110 section 8.6)');
      seen.add(answers[0] === 'broken' || !answers[0] ? 'broken' : answers[0].status);
    }
  }
  for (const outcome of [200, 204, 304, 502, 'broken'] as const) t.ok(seen.has(outcome), `some are ${outcome}`);
});

t.test('an upstream that is absent, and comes', async (t) => {
  const first = await startFakeQdrant();
  const { restUrl } = first;
  await first.close();
  const transports = await openTransports({ settings: { 'gateway.upstream.rest_url': restUrl } });
  t.teardown(() => transports.close());
  const list = { ...ask('GET'), target: '/collections' };
  const upsert = { ...ask('PUT'), target: '/collections/a/points', body: Buffer.alloc(200_000, ' ') };
  for (const request of [list, { ...list, method: 'HEAD' }, upsert, { ...upsert, headers: [] }]) {
    const answers = await Promise.all(transports.all.map((transport) => heard(transport, request)));
    t.match(answers[0], { status: request.headers.length > 0 ? 502 : 401 }, request.method);
    t.strictSame(
      answers,
      Array(TRANSPORTS.length).fill(answers[0]),
      `${request.method} is the same on every transport`,
    );
  }
  const upstream = await startFakeQdrant({ restPort: Number(restUrl.split(':')[2]) });
  t.teardown(() => upstream.close());
  for (const transport of transports.all) t.match(await heard(transport, list), { status: 200 }, transport.name);
});

t.test('an upstream that says nothing is waited for only so long', async (t) => {
  const upstream = await playing(() => []);
  const transports = await openTransports({
    settings: {
      'gateway.upstream.rest_url': `http://127.0.0.1:${upstream.port}`,
      'gateway.upstream.response_header_timeout_ms': 300,
    },
  });
  t.teardown(async () => {
    await transports.close();
    upstream.close();
  });
  const answers = await Promise.all(transports.all.map((transport) => heard(transport, ask('GET'))));
  t.match(answers[0], { status: 504 });
  t.strictSame(answers, Array(TRANSPORTS.length).fill(answers[0]));
});
