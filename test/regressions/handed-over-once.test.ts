// A request that the relay hands over to the other lane once it is decided was begun twice: its span never ended, its caller
// was asked about twice, and its credit was charged twice. One request is one exchange, whichever lanes it passes.
import t from 'tap';
import type { Exchange } from '../../src/exchange/exchange.ts';
import type { Principal } from '../../src/identity/principal.ts';
import { authenticate, exchangeRaw, readAnswer, recordingUpstream, startGateway } from '../rest/lane-fixture.ts';
import { PLAIN_PARTS } from '../support/exchange-parts.ts';

const COLLECTIONS = '{"result":{"collections":[{"name":"a"},{"name":"b"}]},"status":"ok","time":0}';
const large = JSON.stringify({ query: [1], lookup_from: { collection: 'a' }, with_payload: 'x'.repeat(200_000) });

const REQUESTS: readonly (readonly [name: string, head: string, body: string, status: number])[] = [
  ['a list that is filtered for its caller', 'GET /collections HTTP/1.1', '', 200],
  ['a large body that is inspected', 'POST /collections/a/points/query HTTP/1.1', large, 200],
  [
    'a large body that names another collection',
    'POST /collections/a/points/query HTTP/1.1',
    large.replace('"a"', '"b"'),
    403,
  ],
];

for (const [name, line, body, status] of REQUESTS) {
  t.test(`${name}, is admitted, known, paced and recorded once`, async (t) => {
    const upstream = await recordingUpstream((_request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(COLLECTIONS);
    });
    t.teardown(() => upstream.close());
    const seen: string[] = [];
    const exchanges: Exchange[] = [];
    const gateway = await startGateway(upstream.port, {
      relayed: true,
      parts: {
        ...PLAIN_PARTS,
        // As a token is known whose values have to be looked up.
        authenticate: async (headers) => {
          seen.push('authenticate');
          return (await authenticate(headers)) as Principal;
        },
        admit: (exchange) => {
          seen.push('admit');
          exchange.trace = ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'];
          return undefined;
        },
        pace: {
          mustWait: () => {
            seen.push('pace');
            return false;
          },
          wait: () => undefined,
        },
        record: (exchange) => {
          seen.push('record');
          exchanges.push(exchange);
        },
        fault: (error) => t.fail(String(error)),
      },
    });
    t.teardown(() => gateway.close());
    const length = body === '' ? '' : `content-length: ${body.length}\r\n`;
    const head = `${line}\r\nhost: a\r\napi-key: listA\r\n${length}connection: close\r\n\r\n`;
    const answer = readAnswer((await exchangeRaw(gateway.port, `${head}${body}`)).text);
    t.equal(answer.status, status);
    t.strictSame(seen, ['admit', 'authenticate', 'pace', 'record']);
    t.match(exchanges, [{ trace: ['traceparent', /^00-0af/], ended: true }], 'the exchange that was begun');
    const sent = upstream.received.filter(({ target }) => target !== '/');
    t.equal(sent.length, status === 200 ? 1 : 0);
  });
}
