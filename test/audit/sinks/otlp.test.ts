import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import t from 'tap';
import { otlpDestination } from '../../../src/audit/sinks/otlp.ts';
import { Sink } from '../../../src/audit/sinks/sink.ts';
import { entries, entryOf, until } from '../fixture.ts';

interface LogsRequest {
  readonly resourceLogs: {
    readonly resource: { readonly attributes: unknown };
    readonly scopeLogs: { readonly logRecords: LogRecord[] }[];
  }[];
}

interface LogRecord {
  readonly timeUnixNano: string;
  readonly severityNumber: number;
  readonly body: { readonly kvlistValue: { readonly values: { key: string; value: Record<string, unknown> }[] } };
  readonly attributes: { key: string; value: Record<string, unknown> }[];
}

const memberOf = ({ body }: LogRecord, key: string): unknown =>
  Object.values(body.kvlistValue.values.find((one) => one.key === key)?.value ?? {})[0];

t.test('a collector gets every event once, and what waited while it was away', async (t) => {
  const requests: LogsRequest[] = [];
  let status = 200;
  const server: Server = createServer((request, response) => {
    json(request).then(
      (read) => {
        if (status === 200) requests.push(read as LogsRequest);
        response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
      },
      () => response.destroy(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const destination = await otlpDestination(`http://127.0.0.1:${port}/v1/logs`);
  const sink = new Sink(destination, {
    capacity: 5000,
    changed: () => undefined,
    progressed: () => undefined,
    retry: { firstMs: 5, mostMs: 20 },
  });
  const records = (): LogRecord[] =>
    requests.flatMap(({ resourceLogs }) =>
      resourceLogs.flatMap(({ scopeLogs }) => scopeLogs.flatMap((s) => s.logRecords)),
    );
  sink.push(
    entryOf(1, {
      result: 'denied',
      upstream_status: null,
      would_deny: { rule: 'r', code: 'collection_not_listed', error: 'e' },
    }),
    false,
  );
  for (const entry of entries(999, 2)) sink.push(entry, false);
  await until(() => sink.snapshot().written === 1000);
  status = 400; // not one the exporter tries again by itself
  for (const entry of entries(100, 1001)) sink.push(entry, false);
  await until(() => sink.snapshot().fault !== undefined);
  t.equal(sink.snapshot().queued, 100);
  status = 200;
  t.equal(await sink.close(5000), 0);
  t.strictSame(
    records().map((record) => memberOf(record, 'id')),
    entries(1100).map(({ event }) => event.id),
  );
  const [first, second] = records();
  t.match(first, { severityNumber: 13, timeUnixNano: '1795608000001000000' });
  t.match(second, { severityNumber: 9 });
  t.match(first?.attributes, [{ key: 'audit.id', value: { stringValue: 'test-1' } }]);
  t.match(requests[0]?.resourceLogs[0]?.resource.attributes, [
    { key: 'service.name', value: { stringValue: 'qdrant-gateway' } },
  ]);
});

t.test('without the optional packages the start is refused, with the option named', async (t) => {
  const root = join(import.meta.dirname, '../../..');
  const script = `
import { registerHooks } from 'node:module';
registerHooks({
  resolve(name, context, next) {
    if (name.startsWith('@opentelemetry/')) throw Object.assign(new Error('gone'), { code: 'ERR_MODULE_NOT_FOUND' });
    return next(name, context);
  },
});
const { otlpDestination } = await import('${root}/src/audit/sinks/otlp.ts');
const { createTracing } = await import('${root}/src/observability/tracing.ts');
const tracing = { otlp_url: 'http://127.0.0.1:1/v1/traces', sample_percent: 100 };
for (const start of [() => otlpDestination('http://127.0.0.1:1/v1/logs'), () => createTracing({ gateway: { tracing } })]) {
  const failed = await start().catch((error) => error);
  console.log(failed.name, failed.problems[0].place, failed.problems[0].message);
}
`;
  const path = join(t.testdir(), 'script.mjs');
  writeFileSync(path, script);
  const { stdout } = spawnSync(process.execPath, [path], { encoding: 'utf8', timeout: 20_000 });
  t.match(stdout, /^ConfigError gateway\.audit\.otlp_url it needs optional packages .*sdk-logs/);
  t.match(stdout, /\nConfigError gateway\.tracing\.otlp_url it needs optional packages .*sdk-trace-base/);
});
