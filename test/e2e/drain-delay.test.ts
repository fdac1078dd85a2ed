import { once } from 'node:events';
import { get as getPlain } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { Agent, get } from 'node:https';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { openHttp2 } from '../support/clients/sockets.ts';
import { rawClient, unary } from '../support/clients/unary.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS } from '../support/gateway.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/process/gateway-process.ts';
import { until } from '../support/until.ts';

/* A gateway that is told to end while a balancer still sends it connections: none of their requests may fail. */

const ADMIN = { 'api-key': KEYS.admin };
/** Longer than the test: the second signal ends it. */
const DELAY_MS = '600000';
/** Of the relay, and of the server. */
const PATHS = ['/collections', '/cluster/telemetry'] as const;

async function started(test: Test, workers: string): Promise<{ gateway: GatewayProcess; admin: number }> {
  const upstream = await startFakeQdrant({ record: false });
  const gateway = await startGatewayProcess(upstream, {
    QDRANT_GATEWAY__WORKERS: workers,
    QDRANT_GATEWAY__DRAIN_DELAY_MS: DELAY_MS,
    QDRANT_GATEWAY__ADMIN__PORT: '0',
  });
  test.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  return { gateway, admin: Number(/admin listens on \S+?:(\d+)"/.exec(gateway.errors())?.[1]) };
}

function ready(admin: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    getPlain({ host: '127.0.0.1', port: admin, path: '/-/ready', agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    }).on('error', reject);
  });
}

async function ask(gateway: GatewayProcess, path: string, agent: Agent | false): Promise<readonly [number, string]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly [number, string]>();
  const options = { host: 'localhost', port: gateway.rest.port, ca: gateway.ca, agent, path, headers: ADMIN };
  get(options, (answer) => {
    const { statusCode = 0, headers } = answer;
    text(answer).then(() => resolve([statusCode, headers.connection ?? '']), reject);
  }).on('error', reject);
  return await promise;
}

/** Status of one request over HTTP/2. */
async function askHttp2(session: ClientHttp2Session, path: string): Promise<number> {
  const stream = session.request({ ':path': path, ...ADMIN });
  const answered = once(stream, 'response');
  stream.resume();
  const [head] = await answered;
  await once(stream, 'close');
  return Number(head[':status']);
}

/** Clients that ask one request after the other, as official clients do, until they are stopped. */
class Load {
  answers = 0;
  readonly failures: unknown[] = [];
  #stopped = false;
  readonly #clients: Promise<void>[];

  constructor(gateway: GatewayProcess) {
    this.#clients = [...PATHS.map((path) => this.#rest(gateway, path)), this.#http2(gateway), this.#grpc(gateway)];
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
  }

  async #loop(request: () => Promise<boolean>): Promise<void> {
    while (!this.#stopped) {
      try {
        if (await request()) this.answers += 1;
        else this.failures.push('another answer');
      } catch (error) {
        this.failures.push(error);
      }
    }
  }

  async #rest(gateway: GatewayProcess, path: string): Promise<void> {
    const agent = new Agent({ keepAlive: true });
    await this.#loop(async () => (await ask(gateway, path, agent))[0] === 200);
    agent.destroy();
  }

  async #http2(gateway: GatewayProcess): Promise<void> {
    let session: ClientHttp2Session | undefined;
    await this.#loop(async () => {
      if (!session || session.closed || session.destroyed) {
        session = connectHttp2(gateway.rest.url, { ca: gateway.ca });
        await once(session, 'connect');
      }
      return (await askHttp2(session, '/collections')) === 200;
    });
    session?.destroy();
  }

  async #grpc(gateway: GatewayProcess): Promise<void> {
    const client = rawClient(gateway);
    await this.#loop(async () => (await unary(client, '/qdrant.Collections/List', Buffer.alloc(0), ADMIN)).code === 0);
    client.close();
  }
}

for (const workers of ['1', '2']) {
  t.test(`no request is lost while a balancer takes the gateway out (workers ${workers})`, async (test) => {
    const { gateway, admin } = await started(test, workers);
    const exit = once(gateway.child, 'exit');
    const load = new Load(gateway);
    const sessions = [await openHttp2(gateway.rest.port, gateway.ca), await openHttp2(gateway.grpc.port, gateway.ca)];
    const told = sessions.map((session) => once(session, 'goaway'));
    const agent = new Agent({ keepAlive: true });
    for (const path of PATHS) test.strictSame(await ask(gateway, path, agent), [200, 'keep-alive'], `${path} before`);
    test.equal(await ready(admin), 200);

    gateway.child.kill('SIGTERM');
    await until(async () => (await ready(admin)) === 503, 'it is not ready');
    const goaways = (await Promise.all(told)).map(([code, last]) => [code, last]);
    const first = [0, 2 ** 31 - 1];
    test.strictSame(goaways, [first, first], 'the first of two GOAWAY: requests on their way are served');
    const before = load.answers;
    await until(() => load.answers > before + 100, 'the clients are served as before');
    for (const path of PATHS) {
      test.strictSame(await ask(gateway, path, agent), [200, 'close'], `${path} on a connection of before`);
      test.strictSame(await ask(gateway, path, false), [200, 'close'], `${path} on a new connection`);
    }
    const late = await openHttp2(gateway.rest.port, gateway.ca);
    test.equal(await askHttp2(late, '/collections'), 200, 'HTTP/2 on a new connection');
    const caller = rawClient(gateway);
    const called = await unary(caller, '/qdrant.Collections/List', Buffer.alloc(0), ADMIN);
    test.equal(called.code, 0, 'gRPC on a new connection');
    test.equal(gateway.child.exitCode, null);
    await load.stop();
    test.strictSame(load.failures, [], `of ${load.answers} requests`);

    const lateTold = once(late, 'goaway');
    const again = setInterval(() => {
      if (!/a second signal ends at once/.test(gateway.errors())) gateway.child.kill('SIGTERM');
    }, 100);
    await lateTold;
    for (const session of [...sessions, late]) session.destroy();
    caller.close();
    agent.destroy();
    test.strictSame(await exit, [0, null], gateway.errors());
    clearInterval(again);
  });
}
