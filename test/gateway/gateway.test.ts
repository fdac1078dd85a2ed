import { X509Certificate } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { request } from 'node:https';
import { connect } from 'node:tls';
import t, { type Test } from 'tap';
import { loadConfig } from '../../src/config/load.ts';
import { NO_POLICY } from '../../src/config/policy/file.ts';
import type { Secrets } from '../../src/config/secrets.ts';
import type { State } from '../../src/config/state.ts';
import { createGateway } from '../../src/gateway/gateway.ts';
import { CLIENT_PREFACE } from '../../src/http2/frames.ts';
import { writeSettings } from '../../src/http2/write-frames.ts';
import { H2Client } from '../support/clients/h2-client.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { startGateway } from '../support/gateway.ts';
import { pairOf } from '../support/operated.ts';

/** Serial number of the certificate a port presents to a new connection. */
function serialOf(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

/** A gateway that is given states directly, and the state it began with. */
async function startPlain(
  test: Test,
  settings: Readonly<Record<string, unknown>> = {},
  clientCa: Buffer | null = null,
  grpcClientCa?: Buffer,
) {
  const upstream = await startFakeQdrant();
  const { cert, key, ca } = await pairOf(0);
  const defaults = {
    'service.host': '127.0.0.1',
    'service.http_port': 0,
    'service.grpc_port': 0,
    'service.api_key': 'first',
    log_level: 'off',
    'gateway.upstream.rest_url': upstream.restUrl,
    'gateway.upstream.grpc_url': upstream.grpcUrl,
  };
  const configOf = (more: Readonly<Record<string, unknown>>) =>
    loadConfig({ env: {}, defaults: { ...defaults, ...more } }).config;
  const secrets: Secrets = {
    apiKey: 'first',
    altApiKey: null,
    readOnlyApiKey: null,
    adminToken: null,
    tls: { cert, key, clientCa, grpcClientCa },
    upstreamKey: null,
    upstreamCa: null,
  };
  const config = configOf({ 'service.enable_tls': true, ...settings });
  const state: State = { config, secrets, policy: NO_POLICY };
  const gateway = await createGateway(state);
  const { rest, grpc } = await gateway.start();
  test.teardown(async () => {
    await gateway.stop(0);
    await upstream.close();
  });
  const both = Buffer.concat([ca, (await pairOf(1)).ca]);
  const status = (apiKey: string) => statusOf(rest.port, both, apiKey);
  return { gateway, state, configOf, ports: [rest.port, grpc?.port ?? 0], status };
}

type Pair = { readonly cert: Buffer; readonly key: Buffer };

function statusOf(port: number, ca: Buffer, apiKey: string, client?: Pair): Promise<number> {
  return new Promise((resolve, reject) => {
    const own = client && { cert: client.cert, key: client.key };
    const options = { host: 'localhost', port, ca, agent: false as const, headers: { 'api-key': apiKey }, ...own };
    request({ ...options, path: '/collections' }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}

t.test('a state is put in force as a whole, or nothing of it', async (test) => {
  const { gateway, state, ports, status } = await startPlain(test);
  const second = await pairOf(1);
  const serials = () => Promise.all(ports.map(serialOf));
  const before = await serials();
  const next: State = {
    ...state,
    secrets: { ...state.secrets, apiKey: 'second', tls: { ...second, clientCa: null } },
    policy: { ...NO_POLICY, rules: [{ id: 'a', mode: 'enforce', operations: [] }] },
  };
  const bad: readonly [name: string, state: State, problem: RegExp][] = [
    [
      'certificate and key of two pairs',
      {
        ...next,
        secrets: {
          ...next.secrets,
          tls: { cert: second.cert, key: state.secrets.tls?.key ?? second.key, clientCa: null },
        },
      },
      /^tls\.key: the private key `.*` cannot be used: key values mismatch/,
    ],
    ['an empty key', { ...next, secrets: { ...next.secrets, apiKey: '' } }, /must not be empty/],
    [
      'an empty signing key',
      { ...next, policy: { ...next.policy, signingKeys: [{ id: 'x', secret: '' }] } },
      /must not be empty/,
    ],
  ];
  for (const [name, one, problem] of bad) {
    test.throws(() => gateway.apply(one), { message: problem }, name);
    test.same([await status('first'), await status('second')], [200, 401], `${name}: keys and rules as before`);
    test.same(await serials(), before, `${name}: certificates as before`);
    test.equal(gateway.snapshot().generation, 1, name);
  }
  test.same(gateway.apply(next), { generation: 2, restartNeeded: [] });
  test.same([await status('first'), await status('second')], [401, 403], 'the new key is under the new rule');
  const after = await serials();
  test.ok(
    after.every((serial, at) => serial !== before[at]),
    'both ports present the new certificate',
  );
});

t.test('what only a restart takes is told, and everything else is applied', async (test) => {
  const { gateway, state, configOf, ports, status } = await startPlain(test);
  const config = configOf({ 'service.enable_tls': false, 'service.http_port': 1, log_level: 'error' });
  const next: State = { ...state, config, secrets: { ...state.secrets, apiKey: 'second', tls: null } };
  test.same(gateway.apply(next), { generation: 2, restartNeeded: ['service.enable_tls', 'service.http_port'] });
  test.same([await status('first'), await status('second')], [401, 200], 'over TLS, on the same port');
  const second = await pairOf(1);
  const again = { ...state, secrets: { ...state.secrets, tls: { ...second, clientCa: null } } };
  test.same(gateway.apply(again), { generation: 3, restartNeeded: [] });
  test.same(await serialOf(ports[0] ?? 0), new X509Certificate(second.cert).serialNumber);
});

t.test('the CA of client certificates changes with the state, and is never left out', async (test) => {
  const [first, second] = [await pairOf(0), await pairOf(1)];
  const verify = { 'service.verify_https_client_certificate': true };
  const { gateway, state, configOf, ports } = await startPlain(test, verify, first.ca);
  /** Who gets an answer: with the first pair as client certificate, with the second, with none. */
  const admitted = () =>
    Promise.all(
      [first, second, undefined].map((pair) => statusOf(ports[0] ?? 0, first.ca, 'first', pair).catch(() => 0)),
    );
  const withCa = (clientCa: Buffer | null, settings: object = verify): State => {
    const tls = state.secrets.tls && { ...state.secrets.tls, clientCa };
    return {
      ...state,
      config: configOf({ 'service.enable_tls': true, ...settings }),
      secrets: { ...state.secrets, tls },
    };
  };
  test.same(await admitted(), [200, 0, 0], 'the first CA');
  gateway.apply(withCa(second.ca));
  test.same(await admitted(), [0, 200, 0], 'the second CA');
  const applied = gateway.apply(withCa(null, {}));
  test.same(applied.restartNeeded, ['service.verify_https_client_certificate']);
  test.same(await admitted(), [0, 200, 0], 'not asking any more takes a restart');
});

t.test('the CA of gRPC clients follows a reload and is never left out', async (test) => {
  const [first, second] = [await pairOf(0), await pairOf(1)];
  const asks = { 'gateway.grpc_client_certificates': true };
  const { gateway, state, configOf, ports } = await startPlain(test, asks, null, first.ca);
  const served = async (pair?: Pair): Promise<boolean> => {
    const socket = connect({
      port: ports[1] ?? 0,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
      ...pair,
    });
    const client = new H2Client(socket);
    client.send(CLIENT_PREFACE, writeSettings([]));
    const answered = await client.until((frames) => (frames.length > 0 ? true : undefined)).catch(() => false);
    client.close();
    return answered;
  };
  const admitted = async () => [await served(first), await served(second), await served()];
  const withCa = (grpcClientCa: Buffer | undefined, settings: object = asks): State => {
    const tls = state.secrets.tls && { ...state.secrets.tls, grpcClientCa };
    const config = configOf({ 'service.enable_tls': true, ...settings });
    return { ...state, config, secrets: { ...state.secrets, tls } };
  };
  test.same(await admitted(), [true, false, false], 'the first CA');
  gateway.apply(withCa(second.ca));
  test.same(await admitted(), [false, true, false], 'the second CA');
  const applied = gateway.apply(withCa(undefined, {}));
  test.same(applied.restartNeeded, ['gateway.grpc_client_certificates']);
  test.same(await admitted(), [false, true, false], 'not asking any more takes a restart');
});

t.test('it refuses to start before a Qdrant that still has its keys, and says what to do', async (t) => {
  const onRest = (_request: unknown, response: ServerResponse): boolean => {
    response.writeHead(401).end('Must provide an API key or an Authorization bearer token');
    return true;
  };
  const failed: unknown = await startGateway({ upstream: { onRest } }).catch((error: unknown) => error);
  t.match(failed, {
    problems: [{ place: 'gateway.upstream.api_key', message: /requires a key: set `gateway.upstream.api_key`/ }],
  });
});
