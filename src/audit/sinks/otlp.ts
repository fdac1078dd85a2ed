import { ConfigError } from '../../config/problem.ts';
import type { AuditEntry, Destination, Written } from './sink.ts';

/** Records per request to the collector. */
const MAX_BATCH = 512;
const EXPORT_MS = 10_000;
const DONE = 0;
/** Severity numbers of the OpenTelemetry log data model. */
const INFO = 9;
const WARN = 13;

/** An OpenTelemetry collector, logs over HTTP. Throws `ConfigError` if the optional packages are not installed. */
export async function otlpDestination(url: string): Promise<Destination> {
  const { sdk, exporter, resources } = await loadPackages();
  const { OTLPLogExporter } = exporter;
  const target = new OTLPLogExporter({ url, timeoutMillis: EXPORT_MS, concurrencyLimit: 1 });
  type Records = Parameters<typeof target.export>[0];
  let batch: Records = [];
  // Queue, bound and batches are those of `Sink`; of the SDK only the records are used.
  const provider = new sdk.LoggerProvider({
    resource: resources.resourceFromAttributes({ 'service.name': 'qdrant-gateway' }),
    processors: [
      {
        onEmit: (record) => {
          batch.push(record);
        },
        forceFlush: async () => undefined,
        shutdown: async () => undefined,
      },
    ],
  });
  const logger = provider.getLogger('audit');
  return {
    name: 'otlp',
    write(entries): Promise<Written> {
      const taken = entries.slice(0, MAX_BATCH);
      batch = [];
      for (const { event } of taken) {
        const denied = event.result === 'denied';
        logger.emit({
          timestamp: new Date(event.timestamp),
          severityNumber: denied ? WARN : INFO,
          severityText: denied ? 'WARN' : 'INFO',
          body: bodyOf(event),
          attributes: { 'audit.id': event.id, 'audit.result': event.result, 'request.id': event.tracing_id },
        });
      }
      const { promise, resolve } = Promise.withResolvers<Written>();
      target.export(batch, ({ code }) => {
        resolve(code === DONE ? { done: taken.length } : { done: 0, fault: 'the collector did not take it' });
      });
      return promise;
    },
    close: () => {
      // Not awaited: `shutdown` waits for the pending request.
      void target.shutdown().catch(() => undefined);
    },
  };
}

type Body = Record<string, string | number | null | string[] | Record<string, string>>;

/** The event as a map, without absent members. */
function bodyOf(event: AuditEntry['event']): Body {
  return Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined));
}

async function loadPackages() {
  try {
    const [sdk, exporter, resources] = await Promise.all([
      import('@opentelemetry/sdk-logs'),
      import('@opentelemetry/exporter-logs-otlp-http'),
      import('@opentelemetry/resources'),
    ]);
    return { sdk, exporter, resources };
  } catch {
    const packages = '`@opentelemetry/sdk-logs`, `@opentelemetry/exporter-logs-otlp-http`, `@opentelemetry/resources`';
    const message = `it needs optional packages that are not installed: ${packages}`;
    throw new ConfigError([{ place: 'gateway.audit.otlp_url', message }]);
  }
}
