import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { type ClientHttp2Session, connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { loadConfig } from '../../src/config/load.ts';
import { NO_POLICY } from '../../src/config/policy/file.ts';
import { loadSecrets } from '../../src/config/secrets.ts';
import type { State } from '../../src/config/state.ts';
import { createGateway, type Gateway } from '../../src/gateway/gateway.ts';
import { runCerts } from './certs.ts';
import { type FakeQdrant, type FakeQdrantOptions, startFakeQdrant } from './fake-qdrant/main.ts';
import { KEYS } from './gateway.ts';

/** What a stand-in does with requests: `frozen` answers nothing, `reset` closes the connection, `not-ready` says so to probes. */
export type NodeMode = 'normal' | 'frozen' | 'reset' | 'not-ready';

/** A stand-in as one of several nodes; its ports stay the same when it starts again. */
export class StandInNode {
  mode: NodeMode = 'normal';
  readonly #options: FakeQdrantOptions;
  #running: FakeQdrant;
  readonly restUrl: string;
  readonly grpcUrl: string;

  private constructor(running: FakeQdrant, options: FakeQdrantOptions) {
    this.#running = running;
    this.#options = options;
    this.restUrl = running.restUrl;
    this.grpcUrl = running.grpcUrl;
  }

  static async start(options: FakeQdrantOptions = {}): Promise<StandInNode> {
    const holder: { node?: StandInNode } = {};
    const onRest: FakeQdrantOptions['onRest'] = (request, response) => holder.node?.meet(request, response) ?? false;
    const made = { ...options, onRest };
    holder.node = new StandInNode(await startFakeQdrant(made), made);
    return holder.node;
  }

  /** Its name in the gateway. */
  get name(): string {
    return new URL(this.restUrl).host;
  }

  get fake(): FakeQdrant {
    return this.#running;
  }

  /** Requests it has seen, without those about its health and release: method and target. */
  get seen(): readonly string[] {
    return this.#running.recorder.rest
      .map(({ method, target }) => `${method} ${target}`)
      .filter((one) => !/ \/(readyz|dashboard)?$/.test(one));
  }

  stop(): Promise<void> {
    return this.#running.close();
  }

  /** Starts it again on its ports, with nothing in it. */
  async again(): Promise<void> {
    const [restPort, grpcPort] = [this.restUrl, this.grpcUrl].map((url) => Number(new URL(url).port));
    this.#running = await startFakeQdrant({ ...this.#options, restPort: restPort ?? 0, grpcPort: grpcPort ?? 0 });
  }

  meet(request: IncomingMessage, response: Parameters<NonNullable<FakeQdrantOptions['onRest']>>[1]): boolean {
    const isProbe = request.url === '/readyz';
    switch (this.mode) {
      case 'normal':
        return false;
      case 'frozen':
        return true;
      case 'reset':
        if (!isProbe) request.socket.destroy();
        return !isProbe;
      default:
        if (isProbe) response.writeHead(503).end('some shards are not ready');
        return isProbe;
    }
  }
}

/** How requests come to the gateway, and which lane takes them. */
export interface Lane {
  readonly name: string;
  readonly http2: boolean;
  readonly relay: boolean;
}

export const LANES: readonly Lane[] = [
  { name: 'the server over HTTP/1.1', http2: false, relay: false },
  { name: 'the server over HTTP/2', http2: true, relay: false },
  { name: 'the relay over HTTP/1.1', http2: false, relay: true },
  { name: 'the relay over HTTP/2', http2: true, relay: true },
];

export interface Asked {
  readonly status: number;
  readonly text: string;
}

export interface AskOptions {
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface NodesScene {
  readonly gateway: Gateway;
  readonly nodes: readonly StandInNode[];
  readonly port: number;
  readonly grpcPort: number;
  /** One request on a connection of the scene, with the admin key. */
  readonly ask: (method: string, path: string, options?: AskOptions) => Promise<Asked>;
  /** The state with these settings over those of the start. */
  readonly stateWith: (settings: Readonly<Record<string, unknown>>) => State;
  readonly close: () => Promise<void>;
}

export interface NodesOptions {
  readonly lane: Lane;
  readonly count?: number;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly upstream?: FakeQdrantOptions;
  readonly tenants?: State['policy']['tenants'];
}

/** The option `gateway.upstream.nodes` for these stand-ins. */
export function listOf(nodes: readonly StandInNode[]): string {
  return nodes.map(({ restUrl, grpcUrl }) => `rest_url=${restUrl} grpc_url=${grpcUrl}`).join(', ');
}

let certs: ReturnType<typeof runCerts> | undefined;

/** Starts stand-ins and a gateway before them, with TLS for HTTP/2, on free ports of loopback. */
export async function startNodes({
  lane,
  count = 3,
  settings = {},
  upstream = {},
  tenants,
}: NodesOptions): Promise<NodesScene> {
  const nodes = await Promise.all(Array.from({ length: count }, () => StandInNode.start(upstream)));
  certs ??= runCerts(mkdtempSync(join(tmpdir(), 'qdrant-gateway-certs-')));
  const made = await certs;
  const stateWith = (more: Readonly<Record<string, unknown>>): State => {
    const { config } = loadConfig({
      env: {},
      defaults: {
        'service.host': '127.0.0.1',
        'service.http_port': 0,
        'service.grpc_port': 0,
        'service.api_key': KEYS.admin,
        'service.read_only_api_key': KEYS.readOnly,
        'service.jwt_rbac': true,
        'service.enable_tls': lane.http2,
        'tls.cert': made.cert,
        'tls.key': made.key,
        log_level: 'off',
        'gateway.rest.relay': lane.relay,
        'gateway.upstream.nodes': listOf(nodes),
        ...settings,
        ...more,
      },
    });
    return { config, secrets: loadSecrets(config).secrets, policy: tenants ? { ...NO_POLICY, tenants } : NO_POLICY };
  };
  const gateway = await createGateway(stateWith({}));
  const { rest, grpc } = await gateway.start();
  for (const { fake } of nodes) fake.recorder.clear();
  const client = lane.http2 ? http2Client(rest.port, readFileSync(made.ca)) : http1Client(rest.port);
  return {
    ...{ gateway, nodes, stateWith },
    port: rest.port,
    grpcPort: grpc?.port ?? 0,
    ask: (method, path, { body = '', headers = {} } = {}) =>
      client.ask(method, path, body, { 'api-key': KEYS.admin, 'content-type': 'application/json', ...headers }),
    close: async () => {
      client.close();
      await gateway.stop(0);
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}

interface Client {
  readonly ask: (method: string, path: string, body: string, headers: Record<string, string>) => Promise<Asked>;
  readonly close: () => void;
}

function http1Client(port: number): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  return {
    async ask(method, path, body, headers) {
      const length = body === '' ? {} : { 'content-length': String(body.length) };
      const request = httpRequest({ host: '127.0.0.1', port, agent, method, path, headers: { ...headers, ...length } });
      request.end(body);
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      return { status: response.statusCode ?? 0, text: (await buffer(response)).toString() };
    },
    close: () => agent.destroy(),
  };
}

function http2Client(port: number, ca: Buffer): Client {
  const session: ClientHttp2Session = connect(`https://127.0.0.1:${port}`, { ca, servername: 'localhost' });
  session.on('error', () => undefined);
  return {
    async ask(method, path, body, headers) {
      const length = body === '' ? {} : { 'content-length': String(body.length) };
      const ends = { endStream: body === '' };
      const stream = session.request({ ':method': method, ':path': path, ...headers, ...length }, ends);
      if (body !== '') stream.end(body);
      const [head] = (await once(stream, 'response')) as [{ ':status'?: number }];
      return { status: head[':status'] ?? 0, text: (await buffer(stream)).toString() };
    },
    close: () => session.destroy(),
  };
}
