import type { Context, Span, SpanContext } from '@opentelemetry/api';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import { ConfigError } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import type { Exchange, Outcome } from '../exchange/exchange.ts';
import { refusedKeyOf } from '../exchange/refused-key.ts';
import { firstValue, parseTraceParent, requestIdOf } from '../exchange/request-id.ts';

/** Request spans of one process, exported to a collector. */
export interface Tracing {
  /**
   * Starts a span for a request with a known operation; if sampled, adds its headers to the upstream request. On the
   * path of every request.
   */
  readonly begin: (exchange: Exchange) => void;
  /** Step 8: ends the span. */
  readonly observe: (exchange: Exchange, outcome: Outcome) => void;
  readonly snapshot: () => TracingSnapshot;
  /** Exports pending spans, for at most `graceMs`. */
  readonly close: (graceMs: number) => Promise<void>;
}

/** Counters since it was opened. */
export interface TracingSnapshot {
  readonly exported: number;
  /** Spans that the collector did not accept; they are lost. */
  readonly failed: number;
}

const EXPORT_MS = 10_000;
const SAMPLED = 1;
const PERCENT = 100;
const DONE = 0;
/** Span kind and status of OpenTelemetry. */
const SERVER = 1;
const ERROR = 2;
/** gRPC codes of server errors: unknown, deadline, unimplemented, internal, unavailable, data loss. */
const SERVER_FAULTS = new Set([2, 4, 12, 13, 14, 15]);

/** Opens the exporter. Throws `ConfigError` if the optional packages are not installed. `undefined` = no spans. */
export async function createTracing({ gateway }: Pick<Config, 'gateway'>): Promise<Tracing | undefined> {
  const { otlp_url: url, sample_percent: percent } = gateway.tracing;
  if (url === null) return undefined;
  const { api, sdk, otlp, resources } = await loadPackages();
  const exporter = new CountingExporter(new otlp.OTLPTraceExporter({ url, timeoutMillis: EXPORT_MS }));
  const provider = new sdk.BasicTracerProvider({
    resource: resources.resourceFromAttributes({ 'service.name': 'qdrant-gateway' }),
    sampler: new sdk.ParentBasedSampler({ root: new sdk.TraceIdRatioBasedSampler(percent / PERCENT) }),
    spanProcessors: [new sdk.BatchSpanProcessor(exporter)],
  });
  const tracer = provider.getTracer('qdrant-gateway');
  /** Keyed by `trace`, which an exchange keeps when it is handed over to the server. */
  const spans = new WeakMap<object, Span>();

  const parentOf = ({ headers }: Exchange): Context => {
    const parent = parseTraceParent(firstValue(headers, 'traceparent') ?? '');
    if (!parent) return api.ROOT_CONTEXT;
    const state = traceStateOf(headers);
    const context: SpanContext = {
      traceId: parent.traceId,
      spanId: parent.spanId,
      traceFlags: parent.flags,
      isRemote: true,
    };
    if (state !== undefined) context.traceState = api.createTraceState(state);
    return api.trace.setSpanContext(api.ROOT_CONTEXT, context);
  };

  return {
    begin(exchange) {
      const operation = exchange.resolution?.operation.name ?? 'unresolved';
      const span = tracer.startSpan(operation, { kind: SERVER }, parentOf(exchange));
      // Without sampling the client's own trace headers pass unchanged.
      if (!span.isRecording()) return;
      exchange.trace = headersOf(span.spanContext());
      spans.set(exchange.trace, span);
    },
    observe(exchange, outcome) {
      const { trace } = exchange;
      const span = trace && spans.get(trace);
      if (!span) return;
      spans.delete(trace);
      span.setAttributes(attributesOf(exchange, outcome));
      if (isServerFault(exchange, outcome)) span.setStatus({ code: ERROR });
      span.end();
    },
    snapshot: () => ({ exported: exporter.exported, failed: exporter.failed }),
    async close(graceMs) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, graceMs);
      await Promise.race([provider.shutdown().catch(() => undefined), promise]);
      clearTimeout(timer);
    },
  };
}

/** `traceparent`, and `tracestate` if the request's trace has one. */
function headersOf({ traceId, spanId, traceFlags, traceState }: SpanContext): readonly string[] {
  const flags = (traceFlags & SAMPLED).toString(16).padStart(2, '0');
  const state = traceState?.serialize() ?? '';
  const parent = ['traceparent', `00-${traceId}-${spanId}-${flags}`];
  return state === '' ? parent : [...parent, 'tracestate', state];
}

/** Several headers form one list (W3C Trace Context section 3.3.1). */
function traceStateOf(headers: readonly string[]): string | undefined {
  const values: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i]?.toLowerCase() === 'tracestate') values.push(headers[i + 1] ?? '');
  }
  return values.length === 0 ? undefined : values.join(',');
}

function attributesOf(exchange: Exchange, { status }: Outcome): Record<string, string | number> {
  const { protocol, resolution, references, principal, decision, shadowed } = exchange;
  const key = principal?.keyId ?? refusedKeyOf(exchange)?.id;
  const target = resolution?.target.kind === 'collection' ? resolution.target.name : references?.target;
  const statusName = protocol === 'rest' ? 'http.response.status_code' : 'rpc.grpc.status_code';
  return {
    'gateway.protocol': protocol,
    'gateway.operation': resolution?.operation.name ?? 'unresolved',
    'gateway.decision': decision?.kind === 'permit' ? 'ok' : 'denied',
    'request.id': requestIdOf(exchange),
    ...(target === undefined ? {} : { 'db.collection.name': target }),
    ...(key === undefined ? {} : { 'gateway.key': key }),
    ...(shadowed ? { 'gateway.would_deny': shadowed.rule } : {}),
    ...(status === undefined ? {} : { [statusName]: status }),
  };
}

function isServerFault({ protocol }: Exchange, { status }: Outcome): boolean {
  if (status === undefined) return false;
  return protocol === 'rest' ? status >= 500 : SERVER_FAULTS.has(status);
}

/** Counts failures of an exporter, which the SDK does not report. */
class CountingExporter implements SpanExporter {
  exported = 0;
  failed = 0;
  readonly #inner: SpanExporter;

  constructor(inner: SpanExporter) {
    this.#inner = inner;
  }

  export(spans: ReadableSpan[], callback: Parameters<SpanExporter['export']>[1]): void {
    this.#inner.export(spans, (result) => {
      if (result.code === DONE) this.exported += spans.length;
      else this.failed += spans.length;
      callback(result);
    });
  }

  shutdown(): Promise<void> {
    return this.#inner.shutdown();
  }
}

async function loadPackages() {
  try {
    const [api, sdk, otlp, resources] = await Promise.all([
      import('@opentelemetry/api'),
      import('@opentelemetry/sdk-trace-base'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'),
    ]);
    return { api, sdk, otlp, resources };
  } catch {
    const sdk = '`@opentelemetry/api`, `@opentelemetry/sdk-trace-base`';
    const packages = `${sdk}, \`@opentelemetry/exporter-trace-otlp-http\`, \`@opentelemetry/resources\``;
    const message = `it needs optional packages that are not installed: ${packages}`;
    throw new ConfigError([{ place: 'gateway.tracing.otlp_url', message }]);
  }
}
