import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { ask } from '../support/clients/raw-rest.ts';
import { openHttp2 } from '../support/clients/sockets.ts';
import { message, rawClient, unary } from '../support/clients/unary.ts';
import { KEYS, type RunningGateway, startGateway } from '../support/gateway.ts';
import { inPatience } from '../support/reference.ts';
import { until } from '../support/until.ts';

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly traceState?: string;
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
  readonly status: { readonly code: number };
}

interface TraceRequest {
  readonly resourceSpans: { readonly scopeSpans: { readonly spans: Span[] }[] }[];
}

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const SAMPLED = `00-${TRACE}-${PARENT}-01`;
const UNSAMPLED = `00-${TRACE}-${PARENT}-00`;
const GET = '/qdrant.Collections/Get';

/** A collector that keeps the spans it gets. */
async function startCollector(t: Test, status = 200): Promise<{ url: string; spans: () => Span[] }> {
  const spans: Span[] = [];
  const server: Server = createServer((request, response) => {
    json(request).then((read) => {
      for (const { scopeSpans } of (read as TraceRequest).resourceSpans) {
        for (const scope of scopeSpans) if (status === 200) spans.push(...scope.spans);
      }
      response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`, spans: () => spans };
}

const attributesOf = ({ attributes }: Span): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

type Headers = Readonly<Record<string, string>>;
interface Way {
  readonly name: string;
  readonly operation: string;
  readonly send: (gateway: RunningGateway, headers: Headers) => Promise<unknown>;
  /** Headers that upstream got with the last request. */
  readonly received: (gateway: RunningGateway) => readonly string[];
}

const restHeaders = ({ upstream }: RunningGateway): readonly string[] =>
  upstream.recorder.rest.at(-1)?.rawHeaders ?? [];

const WAYS: readonly Way[] = [
  {
    name: 'REST, relayed',
    operation: 'collections.get',
    send: (gateway, headers) => ask(gateway, 'GET', '/collections/a', headers),
    received: restHeaders,
  },
  {
    name: 'REST, by Fastify',
    operation: 'collections.get',
    async send(gateway, headers) {
      const session = await openHttp2(gateway.rest.port, gateway.ca);
      const stream = session.request({ ':path': '/collections/a', ...headers });
      stream.resume().end();
      await new Promise((resolve) => stream.on('close', resolve));
      session.close();
    },
    received: restHeaders,
  },
  {
    name: 'gRPC',
    operation: 'qdrant.Collections/Get',
    async send(gateway, headers) {
      const client = rawClient(gateway);
      await unary(client, GET, message({ 1: 'a' }), headers);
      client.close();
    },
    received: ({ upstream }) => upstream.recorder.grpc.at(-1)?.metadata ?? [],
  },
];

/** All values of a header, as upstream got it. */
function valuesOf(headers: readonly string[], name: string): string[] {
  return headers.flatMap((part, index) =>
    index % 2 === 0 && part.toLowerCase() === name ? [headers[index + 1] ?? ''] : [],
  );
}

async function start(t: Test, settings: Readonly<Record<string, unknown>>): Promise<RunningGateway> {
  const gateway = await startGateway({ settings: { log_level: 'off', ...settings } });
  t.teardown(() => gateway.close());
  const body = '{"vectors":{"size":2,"distance":"Dot"}}';
  await ask(gateway, 'PUT', '/collections/a', { 'api-key': KEYS.admin, traceparent: UNSAMPLED }, body);
  return gateway;
}

for (const way of WAYS) {
  t.test(`${way.name}: a span under the client's, which upstream is told of`, async (t) => {
    const { url, spans } = await startCollector(t);
    const gateway = await start(t, { 'gateway.tracing.otlp_url': url });
    const headers = { 'api-key': KEYS.admin, 'x-request-id': 'r-1' };
    await way.send(gateway, { ...headers, traceparent: SAMPLED, tracestate: 'vendor=1' });
    const sent = way.received(gateway);
    await way.send(gateway, { traceparent: SAMPLED });
    await way.send(gateway, headers);
    const own = way.received(gateway);
    await gateway.close();
    const [served, denied, root] = spans();
    t.equal(spans().length, 3);
    t.match(served, { name: way.operation, traceId: TRACE, parentSpanId: PARENT, kind: 2, traceState: 'vendor=1' });
    t.strictSame(valuesOf(sent, 'traceparent'), [`00-${TRACE}-${served?.spanId}-01`]);
    t.strictSame(valuesOf(sent, 'tracestate'), ['vendor=1']);
    const grpc = way.name === 'gRPC';
    t.match(attributesOf(served as Span), {
      'gateway.protocol': grpc ? 'grpc' : 'rest',
      'gateway.operation': way.operation,
      'gateway.decision': 'ok',
      'gateway.key': 'api_key',
      'request.id': 'r-1',
      ...(grpc ? {} : { 'db.collection.name': 'a', 'http.response.status_code': 200 }),
    });
    t.match(attributesOf(denied as Span), {
      'gateway.decision': 'denied',
      ...(grpc ? { 'rpc.grpc.status_code': 16 } : { 'http.response.status_code': 401 }),
    });
    t.match(root, { name: way.operation, parentSpanId: undefined });
    t.not(root?.traceId, TRACE, 'without a parent it begins a trace');
    t.strictSame(valuesOf(own, 'traceparent'), [`00-${root?.traceId}-${root?.spanId}-01`]);
    t.match(gateway.snapshot(), { tracing: { exported: 3, failed: 0 } });
  });

  t.test(`${way.name}: what is not sampled passes untouched and leaves no span`, async (t) => {
    const { url, spans } = await startCollector(t);
    const gateway = await start(t, { 'gateway.tracing.otlp_url': url, 'gateway.tracing.sample_percent': 0 });
    const headers = { 'api-key': KEYS.admin };
    await way.send(gateway, { ...headers, traceparent: UNSAMPLED, tracestate: 'vendor=1' });
    t.strictSame(valuesOf(way.received(gateway), 'traceparent'), [UNSAMPLED]);
    t.strictSame(valuesOf(way.received(gateway), 'tracestate'), ['vendor=1']);
    await way.send(gateway, headers);
    t.strictSame(valuesOf(way.received(gateway), 'traceparent'), [], 'no parent, and none is made up');
    await way.send(gateway, { ...headers, traceparent: SAMPLED });
    await gateway.close();
    t.match(spans(), [{ parentSpanId: PARENT }], 'a sampled parent counts whatever the share is');
    t.equal(spans().length, 1);
  });

  t.test(`${way.name}: a parent that is malformed is not believed, and its state goes`, async (t) => {
    const { url, spans } = await startCollector(t);
    const gateway = await start(t, { 'gateway.tracing.otlp_url': url });
    await way.send(gateway, {
      'api-key': KEYS.admin,
      traceparent: SAMPLED.toUpperCase(),
      tracestate: 'content-length',
    });
    const sent = way.received(gateway);
    await gateway.close();
    t.match(spans(), [{ parentSpanId: undefined }]);
    t.strictSame(valuesOf(sent, 'traceparent'), [`00-${spans()[0]?.traceId}-${spans()[0]?.spanId}-01`]);
    t.strictSame(valuesOf(sent, 'tracestate'), []);
  });

  t.test(`${way.name}: without a collector everything passes untouched`, async (t) => {
    const gateway = await start(t, {});
    const headers = { 'api-key': KEYS.admin, traceparent: 'anything', tracestate: 'a=1', 'x-request-id': 'r 1' };
    await way.send(gateway, headers);
    for (const name of ['traceparent', 'tracestate', 'x-request-id'] as const) {
      t.strictSame(valuesOf(way.received(gateway), name), [headers[name]]);
    }
    t.equal(gateway.snapshot().tracing, undefined);
  });
}

t.test('a state that names a header takes nothing away from the request', async (t) => {
  const { url } = await startCollector(t);
  const gateway = await start(t, { 'gateway.tracing.otlp_url': url });
  const headers = { 'api-key': KEYS.admin, 'content-type': 'application/json', 'x-what': '1' };
  const body = '{"limit":1}';
  const state = { traceparent: SAMPLED, tracestate: 'content-length=1' };
  await ask(gateway, 'POST', '/collections/a/points/scroll', { ...headers, ...state, 'content-length': '11' }, body);
  const sent = restHeaders(gateway);
  t.strictSame([valuesOf(sent, 'content-length'), valuesOf(sent, 'x-what')], [['11'], ['1']]);
});

t.test('a collector that refuses or is not there holds nothing up, and is counted', async (t) => {
  for (const url of [(await startCollector(t, 400)).url, 'http://127.0.0.1:1/v1/traces']) {
    const gateway = await start(t, { 'gateway.tracing.otlp_url': url });
    const { status } = await ask(gateway, 'GET', '/collections/a', { 'api-key': KEYS.admin });
    t.equal(status, 200);
    t.not(await inPatience(gateway.close()), 'late', 'and stopping does not wait for it');
    if (url.includes(':1/')) continue;
    await until(() => gateway.snapshot().tracing?.failed === 1, 'the failure is counted');
  }
});

t.test('open operations get no span', async (t) => {
  const { url, spans } = await startCollector(t);
  const gateway = await start(t, { 'gateway.tracing.otlp_url': url });
  await ask(gateway, 'GET', '/healthz', { traceparent: SAMPLED });
  await gateway.close();
  t.strictSame(spans(), []);
});
