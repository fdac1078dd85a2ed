import type { Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { AdminAct } from '../audit/act.ts';
import type { Console } from '../console/server/console.ts';
import { isConsoleTarget } from '../exchange/console-request.ts';
import { HandshakeBudget } from '../limits/handshake-budget.ts';
import { WorkScheduler } from '../limits/work-scheduler.ts';
import { readAllTls } from '../net/tls/read-all.ts';
import { LIFT_REFUSALS } from '../observability/asked-change.ts';
import type { MetricsPage } from '../observability/metrics/page.ts';
import type { Lifted, RevocationReport, Revoked } from '../revocation/report.ts';
import { jsonLine } from '../text/printable.ts';
import { bearsToken, isLoopback, isOwnHost } from './access.ts';
import { AdmittedConnections } from './admitted.ts';
import { hasQuery, isEmpty, say } from './answers.ts';
import { REPEATED_MEMBER, readBodies } from './body.ts';
import { addConsoleRoutes, setSafeHeaders } from './console-routes.ts';
import { inTurn } from './in-turn.ts';
import { addKeyRoutes, type KeySource } from './key-routes.ts';
import { addNodeRoutes, type NodeSource } from './node-routes.ts';
import type { Readiness } from './pages.ts';
import { sharedPage } from './shared-page.ts';
import { slowed } from './slowed.ts';
import { isOfHost, routedTarget } from './target.ts';
import { addTokenRoute, type TokenSource } from './token-route.ts';
import type { WebUiOptions } from './web-ui-routes.ts';

/** The data behind the pages, and the actions. */
export interface AdminSource extends KeySource, NodeSource, TokenSource {
  readonly metrics: (format: 'prometheus' | 'openmetrics') => Promise<MetricsPage>;
  readonly ready: () => Promise<Readiness>;
  readonly status: () => Promise<object>;
  readonly principals: () => Promise<object>;
  readonly connections: () => Promise<object>;
  readonly keys: () => Promise<object>;
  readonly nodes: () => Promise<object>;
  readonly reload: () => Promise<{ readonly ok: boolean; readonly body: object }>;
  readonly revoke: (request: unknown) => Promise<Revoked>;
  readonly lift: (request: unknown) => Promise<Lifted>;
  readonly revocations: () => RevocationReport;
  readonly refused: () => void;
  readonly fault: (error: unknown) => void;
}

export interface AdminListenerOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly tls: TlsOptions | undefined;
  /** The bearer token in force; null = none, so that only metrics and probes are served. */
  readonly token: () => string | null;
  readonly protectMetrics: () => boolean;
  readonly source: AdminSource;
  /** The console; `undefined` = it is off. */
  readonly console?: Console | undefined;
  /** Qdrant's Web UI behind its login. */
  readonly webUi?: Omit<WebUiOptions, 'console' | 'tls' | 'fault'>;
}

export interface AdminListener {
  readonly address: { readonly host: string; readonly port: number };
  /** For new connections. Throws if it cannot be used. */
  readonly setSecureContext: (tls: TlsOptions) => void;
  readonly close: () => Promise<void>;
}

const MAX_BODY = 16_384;
const MAX_HEAD = 16_384;
const MAX_HANDSHAKE = 16_384;
const MAX_CONNECTIONS = 256;
const HEAD_TIMEOUT_MS = 3000;
const REQUEST_TIMEOUT_MS = 10_000;
/** Milliseconds between looks for heads and requests that are out of time. */
const LOOK_MS = 1000;
const KEEP_ALIVE_MS = 5_000;
/** Node reads all requests of a packet at once, before the first of them is answered. */
const REQUESTS_PER_CONNECTION = 100;

/** Opens the admin port. Rejects if the port is not available. */
export async function createAdminListener(options: AdminListenerOptions): Promise<AdminListener> {
  const app = createApp(options);
  readConnections(app, options);
  const connections = new AdmittedConnections(MAX_CONNECTIONS);
  app.server.on('connection', (socket: Socket) => connections.admit(socket));
  app.server.headersTimeout = HEAD_TIMEOUT_MS;
  app.server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION;
  readBodies(app);
  protect(app, options, connections);
  answerFaults(app, options.source);
  addOpenPages(app, options);
  addPages(app, options.source);
  addActs(app, options.source);
  addKeyRoutes(app, options.source);
  addNodeRoutes(app, options.source);
  addTokenRoute(app, options.source, notFound);
  if (options.console) {
    const tls = options.tls !== undefined;
    addConsoleRoutes(app, options.console, tls);
    if (options.webUi) {
      // Loaded with the console alone.
      const { addWebUiRoutes } = await import('./web-ui-routes.ts');
      addWebUiRoutes(app, { ...options.webUi, console: options.console, tls, fault: options.source.fault });
    }
  }
  await app.listen({ host: options.host, port: options.port });
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new TypeError('the admin port has no network address');
  return {
    address: { host: address.address, port: address.port },
    setSecureContext: (tls) => {
      if ('setSecureContext' in app.server && typeof app.server.setSecureContext === 'function') {
        app.server.setSecureContext(tls);
      }
    },
    close: () => app.close(),
  };
}

function readConnections({ server }: FastifyInstance, { tls, source }: AdminListenerOptions): void {
  if (!tls) return;
  const bounds = {
    timeoutMs: HEAD_TIMEOUT_MS,
    maxBytes: MAX_HANDSHAKE,
    budget: new HandshakeBudget(),
    now: () => performance.now(),
    faulted: () => source.refused(),
    scheduler: new WorkScheduler(source.fault),
  };
  readAllTls(server, bounds, source.fault);
}

function createApp({ tls }: AdminListenerOptions): FastifyInstance {
  const settings = {
    logger: false,
    bodyLimit: MAX_BODY,
    connectionTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    rewriteUrl: routedTarget,
  } as const;
  const http = { maxHeaderSize: MAX_HEAD, connectionsCheckingInterval: LOOK_MS };
  if (!tls) return writing(fastify({ ...settings, http }));
  const app: unknown = fastify({
    ...settings,
    https: { ...tls, ...http, ALPNProtocols: ['http/1.1'] },
  });
  return writing(app as FastifyInstance); // the same methods, over a TLS server
}

/** INVARIANT: pages of JSON are written here, so that names that callers choose are printable on each of them. */
function writing(app: FastifyInstance): FastifyInstance {
  return app.setReplySerializer((page) => jsonLine(page));
}

/** The route of a page, and whether it needs the token. */
interface Guard {
  readonly token: 'needed' | 'for metrics' | 'none';
  readonly act?: AdminAct['method'];
}

declare module 'fastify' {
  interface FastifyContextConfig {
    readonly guard?: Guard;
  }
}

/** Checks before every page: the host name, then the token. */
function protect(app: FastifyInstance, options: AdminListenerOptions, connections: AdmittedConnections): void {
  const { host, token, protectMetrics, source } = options;
  const local = isLoopback(host);
  app.addHook('onRequest', async (request, reply) => {
    const { socket } = request.raw;
    if (!(await inTurn(socket, reply.raw))) return reply.hijack();
    connections.began(socket);
    reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
    const hosts = request.raw.headersDistinct.host;
    if (isConsoleTarget(request.raw.url ?? '')) setSafeHeaders(reply);
    if (!isOfHost(request.originalUrl, hosts?.[0]) || (local && (hosts?.length !== 1 || !isOwnHost(hosts[0], host)))) {
      source.refused();
      return await say(reply, 421, 'this host name is not served here');
    }
    const { guard } = request.routeOptions.config;
    if (!guard || guard.token === 'none') return;
    const expected = token();
    if (guard.token === 'for metrics' && !protectMetrics() && (local || expected === null)) return;
    // INVARIANT: without a configured token, pages that need it answer 404.
    if (expected === null && guard.token === 'needed') return await notFound(request, reply);
    if (expected !== null && bearsToken(request.headers.authorization, expected)) {
      reply.raw.once('close', connections.trust(socket));
      return;
    }
    source.refused();
    if (guard.act)
      source.acted({ method: guard.act, remote: request.ip, result: 'denied', durationMs: reply.elapsedTime });
    await slowed(socket);
    reply.header('www-authenticate', 'Bearer');
    return await say(reply, 401, 'the bearer token of the admin port is needed');
  });
}

const PAGES = [
  ...['GET /metrics', 'GET /-/live', 'GET /-/ready', 'GET /-/status', 'GET /-/principals', 'GET /-/connections'],
  ...[
    'GET /-/revocations',
    'GET /-/keys',
    'GET /-/keys/{id}',
    'POST /-/reload',
    'POST /-/revoke',
    'POST /-/revoke/lift',
  ],
  ...['POST /-/keys'],
  ...['POST /-/keys/{id}/rotate', 'POST /-/keys/{id}/disable', 'POST /-/keys/{id}/enable'],
  ...['POST /-/keys/{id}/expire', 'DELETE /-/keys/{id}'],
  ...['GET /-/nodes', 'POST /-/nodes/drain', 'POST /-/nodes/undrain', 'POST /-/token'],
].join(', ');

async function notFound(_request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  return await say(reply, 404, `there is no such page, or it needs a token to be set; pages: ${PAGES}`);
}

/** Answers errors before or in a page. INVARIANT: nothing of the request is repeated. */
function answerFaults(app: FastifyInstance, source: AdminSource): void {
  app.setNotFoundHandler(notFound);
  app.setErrorHandler(async (error: FastifyError, _request, reply) => {
    switch (error.code) {
      case 'FST_ERR_CTP_BODY_TOO_LARGE':
        return await say(reply, 413, `body: at most ${MAX_BODY} bytes`);
      case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
        return await say(reply, 415, 'content-type: must be application/json');
      case REPEATED_MEMBER:
        return await say(reply, 400, 'body: a member is given more than once; give each member once');
      default:
        break;
    }
    if (error.statusCode === 400) return await say(reply, 400, 'body: must be one JSON object');
    source.fault(error);
    return await say(reply, 500, 'internal error');
  });
}

function addOpenPages(app: FastifyInstance, { source }: AdminListenerOptions): void {
  const metrics = sharedPage(source.metrics);
  app.get('/metrics', { config: { guard: { token: 'for metrics' } } }, async (request, reply) => {
    const wanted = /application\/openmetrics-text/i.test(request.headers.accept ?? '') ? 'openmetrics' : 'prometheus';
    const { contentType, text } = await metrics(wanted);
    return await reply.type(contentType).send(text);
  });
  app.get('/-/live', { config: { guard: { token: 'none' } } }, async () => ({ live: true }));
  app.get('/-/ready', { config: { guard: { token: 'none' } } }, async (_request, reply) => {
    const readiness = await source.ready();
    return await reply.code(readiness.ready ? 200 : 503).send(readiness);
  });
}

function addPages(app: FastifyInstance, source: AdminSource): void {
  const config = { guard: { token: 'needed' } } as const;
  const page = (path: string, show: () => object | Promise<object>): void => {
    app.get(path, { config }, async (request, reply) => {
      if (hasQuery(request)) return await say(reply, 400, 'query: unknown parameter; none is known here');
      return await show();
    });
  };
  page('/-/status', source.status);
  page('/-/principals', source.principals);
  page('/-/connections', source.connections);
  page('/-/revocations', source.revocations);
  page('/-/keys', source.keys);
  page('/-/nodes', source.nodes);
}

function addActs(app: FastifyInstance, source: AdminSource): void {
  const { revoke, lift } = source;
  app.post('/-/reload', { config: { guard: { token: 'needed', act: 'gateway_reload' } } }, async (request, reply) => {
    if (hasQuery(request) || !isEmpty(request.body)) {
      return await say(reply, 400, 'body: unknown member; a reload takes none, it reads what is configured');
    }
    const { ok, body } = await source.reload();
    const result = ok ? 'ok' : 'failed';
    source.acted({ method: 'gateway_reload', remote: request.ip, result, durationMs: reply.elapsedTime });
    return await reply.code(ok ? 200 : 422).send(body);
  });
  app.post('/-/revoke', { config: { guard: { token: 'needed', act: 'gateway_revoke' } } }, async (request, reply) => {
    if (hasQuery(request)) return await say(reply, 400, 'query: unknown parameter; what to revoke stands in the body');
    const revoked = await revoke(request.body ?? {});
    const result = revoked.ok ? 'ok' : 'failed';
    const what = revoked.ok ? { revoked: revoked.entry } : {};
    source.acted({ method: 'gateway_revoke', remote: request.ip, ...what, result, durationMs: reply.elapsedTime });
    return await reply.code(revoked.ok ? 200 : 400).send(revoked);
  });
  const lifts = { guard: { token: 'needed', act: 'gateway_revoke_lift' } } as const;
  app.post('/-/revoke/lift', { config: lifts }, async (request, reply) => {
    if (hasQuery(request)) return await say(reply, 400, 'query: unknown parameter; what to lift stands in the body');
    const lifted = await lift(request.body ?? {});
    const result = lifted.ok ? 'ok' : 'failed';
    const [first] = lifted.ok ? lifted.lifted : [];
    const what = first ? { revoked: first } : {};
    source.acted({ method: 'gateway_revoke_lift', remote: request.ip, ...what, result, durationMs: reply.elapsedTime });
    return await reply.code(lifted.ok ? 200 : LIFT_REFUSALS[lifted.why]).send(lifted);
  });
}
