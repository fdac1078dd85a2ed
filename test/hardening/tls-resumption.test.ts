import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect } from 'node:tls';
import t, { type Test } from 'tap';
import { makeDevCerts } from '../../src/cli/init/dev-certs.ts';
import { loadConfig } from '../../src/config/load.ts';
import { NO_POLICY } from '../../src/config/policy/file.ts';
import { loadSecrets } from '../../src/config/secrets.ts';
import type { State } from '../../src/config/state.ts';
import type { Fleet } from '../../src/gateway/fleet.ts';
import { createPool } from '../../src/gateway/workers/pool.ts';
import { createSingle } from '../../src/gateway/workers/single.ts';
import { CLIENT_PREFACE } from '../../src/http2/frames.ts';
import { writeSettings } from '../../src/http2/write-frames.ts';
import { rotateTicketKeys } from '../../src/supervisor/ticket-rotation.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS } from '../support/gateway.ts';

/*
 * A resumed TLS session shows no certificate again: it must open no door that the full handshake would not.
 */

const [first, other] = await Promise.all(
  ['a', 'b'].map((name) => makeDevCerts(mkdtempSync(join(tmpdir(), `qdrant-gateway-resumption-${name}-`)))),
);
if (!first || !other) throw new TypeError('no certificates');
const trusted = Buffer.concat([readFileSync(first.ca), readFileSync(other.ca)]);
const upstream = await startFakeQdrant();
t.teardown(() => upstream.close());

type Certs = typeof first;
const identityOf = ({ cert, key }: Certs) => ({ cert: readFileSync(cert), key: readFileSync(key) });

function stateOf(settings: Readonly<Record<string, unknown>>): State {
  const defaults = {
    ...{ 'service.host': '127.0.0.1', 'service.http_port': 0, 'service.grpc_port': 0, 'service.api_key': KEYS.admin },
    ...{ 'service.enable_tls': true, 'tls.cert': first?.cert, 'tls.key': first?.key, log_level: 'off' },
    ...{ 'gateway.upstream.rest_url': upstream.restUrl, 'gateway.upstream.grpc_url': upstream.grpcUrl, ...settings },
  };
  const { config } = loadConfig({ env: {}, defaults });
  return { config, secrets: loadSecrets(config).secrets, policy: NO_POLICY };
}

const PROTOCOLS = { rest: 'http/1.1', grpc: 'h2' } as const;
type Port = keyof typeof PROTOCOLS;
const REQUEST = `GET /collections HTTP/1.1\r\nhost: localhost\r\napi-key: ${KEYS.admin}\r\n\r\n`;
const OPENINGS = { rest: Buffer.from(REQUEST), grpc: Buffer.concat([CLIENT_PREFACE, writeSettings([])]) } as const;

/** What a client saw of one connection. `session` is the last one it was given. */
interface Seen {
  readonly answered: boolean;
  readonly reused: boolean;
  readonly session: Buffer | undefined;
}

/** Opens a connection and begins to talk; ends it with the first byte of an answer. */
async function visit(port: number, protocol: Port, options: ConnectionOptions = {}): Promise<Seen> {
  const alpn = { ALPNProtocols: [PROTOCOLS[protocol]] };
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca: trusted, ...alpn, ...options });
  let [answered, reused] = [false, false];
  let session: Buffer | undefined;
  socket
    .on('error', () => undefined)
    .on('session', (given) => {
      session = given;
    });
  socket.once('secureConnect', () => {
    reused = socket.isSessionReused();
    if (socket.getProtocol() === 'TLSv1.2') session = socket.getSession();
    socket.write(OPENINGS[protocol]);
  });
  socket.once('data', () => {
    answered = true;
    socket.destroy();
  });
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return { answered, reused, session };
}

/** One process, and two behind the same ports. */
const FLEETS: Readonly<Record<string, (test: Test, state: State) => Promise<Serving>>> = {
  'one process': async (test, state) => serving(test, await createSingle(state), 1),
  'two workers': async (test, state) => {
    const events = { replaced: () => test.fail('a worker died'), failed: (error: unknown) => test.fail(String(error)) };
    return serving(test, createPool({ state, count: 2, withheld: [], events }), 2);
  },
};

async function serving(test: Test, fleet: Fleet, processes: number): Promise<Serving> {
  const { rest, grpc } = await fleet.start();
  test.teardown(() => fleet.stop(0));
  return { rest: rest.port, grpc: grpc?.port ?? 0, fleet, processes };
}

interface Serving {
  readonly rest: number;
  readonly grpc: number;
  readonly fleet: Fleet;
  readonly processes: number;
}

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
const PORTS = ['rest', 'grpc'] as const;
const BOTH_ASK = { 'gateway.grpc_client_certificates': true, 'service.verify_https_client_certificate': true };

for (const [name, serve] of Object.entries(FLEETS)) {
  t.test(`${name}: a session resumes until the CA of its client certificate is replaced`, async (t) => {
    const serving = await serve(t, stateOf({ ...BOTH_ASK, 'tls.ca_cert': other.ca }));
    const begun = [];
    for (const protocol of PORTS) {
      for (const maxVersion of VERSIONS) {
        const full = await visit(serving[protocol], protocol, { maxVersion, ...identityOf(other) });
        t.match(full, { answered: true, reused: false }, `${protocol} ${maxVersion}`);
        begun.push({ protocol, maxVersion, session: full.session });
        for (let i = 0; i <= serving.processes; i++) {
          const again = await visit(serving[protocol], protocol, { maxVersion, session: full.session });
          t.match(again, { answered: true, reused: true }, `${protocol} ${maxVersion}, again`);
        }
      }
    }
    await serving.fleet.apply(stateOf({ ...BOTH_ASK, 'tls.ca_cert': first.ca }));
    for (const { protocol, maxVersion, session } of begun) {
      for (let i = 0; i <= serving.processes; i++) {
        const bare = await visit(serving[protocol], protocol, { maxVersion, session });
        t.match(bare, { answered: false, reused: false }, `${protocol} ${maxVersion}, its CA is not trusted any more`);
      }
      const good = await visit(serving[protocol], protocol, { maxVersion, session, ...identityOf(first) });
      t.match(good, { answered: true, reused: false }, 'with a certificate of the new CA');
    }
  });

  t.test(`${name}: a session of a port without client certificates opens no port that asks for one`, async (t) => {
    const serving = await serve(t, stateOf({ 'gateway.grpc_client_certificates': true, 'tls.ca_cert': other.ca }));
    t.match(await visit(serving.grpc, 'grpc', identityOf(other)), { answered: true }, 'with a certificate');
    for (const maxVersion of VERSIONS) {
      const { session } = await visit(serving.rest, 'rest', { maxVersion });
      const own = await visit(serving.rest, 'rest', { maxVersion, session });
      t.match(own, { answered: true, reused: true }, `${maxVersion}, its own port`);
      for (let i = 0; i <= serving.processes; i++) {
        const crossing = await visit(serving.grpc, 'grpc', { maxVersion, session });
        t.match(crossing, { answered: false, reused: false }, `${maxVersion}, the other port`);
      }
    }
  });
}

for (const [name, serve] of Object.entries(FLEETS)) {
  t.test(
    `${name}: a session of the keys before leads to a full handshake, and the next one resumes in every process`,
    async (t) => {
      const serving = await serve(t, stateOf({}));
      for (const protocol of PORTS) {
        for (const maxVersion of VERSIONS) {
          const before = await visit(serving[protocol], protocol, { maxVersion });
          await serving.fleet.renewTicketKeys();
          await serving.fleet.apply(stateOf({}));
          const full = await visit(serving[protocol], protocol, { maxVersion, session: before.session });
          t.match(full, { answered: true, reused: false }, `${protocol} ${maxVersion}, a session of the keys before`);
          for (let i = 0; i <= serving.processes; i++) {
            const again = await visit(serving[protocol], protocol, { maxVersion, session: full.session });
            t.match(again, { answered: true, reused: true }, `${protocol} ${maxVersion}, a session of the new keys`);
          }
        }
      }
    },
  );
}

t.test('the keys of session tickets are renewed again and again, until that is stopped', async (t) => {
  let renewals = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = rotateTicketKeys(
    {
      renewTicketKeys: async () => {
        renewals += 1;
        if (renewals === 3) resolve();
      },
    },
    1,
  );
  const held = setInterval(() => undefined, 1000);
  await promise;
  clearInterval(held);
  stop();
  t.ok(renewals >= 3);
});
