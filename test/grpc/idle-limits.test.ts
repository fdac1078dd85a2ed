import t from 'tap';
import { grpcTimeoutOf } from '../../src/grpc/call-timeout.ts';
import { GrpcExchange, type GrpcSteps } from '../../src/grpc/exchange.ts';
import type { RequestHead } from '../../src/grpc/headers/request-head.ts';
import { callLimit, isDripped } from '../../src/grpc/idle-limits.ts';
import { resolveGrpc } from '../../src/grpc/resolve.ts';
import { CredentialMemo } from '../../src/identity/credential-memo.ts';

const LIMITS = { stream_idle_timeout_ms: 300_000, body_idle_timeout_ms: 30_000 };

function limitOf(
  path: string,
  headers: readonly string[] = [],
  state: GrpcExchange['state'] = 'relayed',
  ended = true,
): number {
  const steps = { peer: { address: '127.0.0.1', proxies: undefined }, memo: new CredentialMemo() } as GrpcSteps;
  const exchange = new GrpcExchange(1, { path, rawHeaders: headers } as RequestHead, steps, 0);
  exchange.resolution = resolveGrpc(path);
  exchange.state = state;
  exchange.clientEnded = ended;
  return callLimit(exchange, LIMITS);
}

t.test('a call may go without a frame for as long as what it does can take', async (t) => {
  t.equal(limitOf('/qdrant.Points/Search'), 300_000);
  t.equal(
    limitOf('/qdrant.Points/Search', ['grpc-timeout', '10S']),
    300_000,
    'a shorter deadline is the client to keep',
  );
  t.equal(limitOf('/qdrant.Points/Search', ['grpc-timeout', '1H']), 3_600_000, 'never less than its caller waits');
  t.equal(limitOf('/qdrant.Points/Search', ['grpc-timeout', '1H'], 'waiting'), 30_000, 'a stranger is not waited for');
  t.equal(limitOf('/qdrant.Points/Search', [], 'inspecting'), 30_000, 'nor is a message that does not come');
  t.equal(limitOf('/qdrant.Snapshots/Create', [], 'relayed', false), 30_000, 'whatever it asks for');
  for (const path of ['Snapshots/Create', 'Snapshots/CreateFull', 'Points/CreateFieldIndex', 'Collections/Create']) {
    t.equal(limitOf(`/qdrant.${path}`), Number.POSITIVE_INFINITY, path);
  }
});

t.test('grpc-timeout is read as the protocol has it', async (t) => {
  const cases = { '1H': 3_600_000, '2M': 120_000, '3S': 3000, '4m': 4, '5u': 0.005, '99999999H': 359_999_996_400_000 };
  for (const [text, ms] of Object.entries(cases)) t.equal(grpcTimeoutOf(['x', 'y', 'grpc-timeout', text]), ms);
  for (const text of ['', '1', 'H', '1h', '123456789S', '-1S', '1.5S'])
    t.equal(grpcTimeoutOf(['grpc-timeout', text]), undefined);
});

interface PaceCase {
  readonly name: string;
  readonly state: GrpcExchange['state'];
  /** Bytes that come each second. */
  readonly perSecond: number;
  readonly seconds: number;
  readonly isRead?: false;
  readonly ended?: true;
  readonly dripped: boolean;
}

const PACES: readonly PaceCase[] = [
  { name: 'a message of a tenant that is dripped', state: 'collecting', perSecond: 1, seconds: 62, dripped: true },
  {
    name: 'a message that is dripped while it is inspected',
    state: 'inspecting',
    perSecond: 1,
    seconds: 62,
    dripped: true,
  },
  { name: 'one below 1 KiB a second', state: 'collecting', perSecond: 1000, seconds: 62, dripped: true },
  { name: 'one above 1 KiB a second', state: 'collecting', perSecond: 1100, seconds: 300, dripped: false },
  { name: 'one that has not had its time', state: 'collecting', perSecond: 1, seconds: 25, dripped: false },
  {
    name: 'one whose client is not read',
    state: 'collecting',
    perSecond: 0,
    seconds: 300,
    isRead: false,
    dripped: false,
  },
  { name: 'one that is whole', state: 'collecting', perSecond: 0, seconds: 300, ended: true, dripped: false },
  { name: 'one that streams to upstream', state: 'relayed', perSecond: 1, seconds: 300, dripped: false },
];

for (const { name, state, perSecond, seconds, isRead = true, ended = false, dripped } of PACES) {
  t.test(`${dripped ? 'ended' : 'kept'}: ${name}`, async (t) => {
    const steps = { peer: { address: '127.0.0.1', proxies: undefined }, memo: new CredentialMemo() } as GrpcSteps;
    const exchange = new GrpcExchange(
      1,
      { path: '/qdrant.Points/Upsert', rawHeaders: [] } as unknown as RequestHead,
      steps,
      0,
    );
    exchange.state = state;
    exchange.clientEnded = ended;
    let found = false;
    for (let second = 0; second <= seconds; second += 1) {
      exchange.received += perSecond;
      found ||= isDripped(exchange, LIMITS, isRead, second * 1000);
    }
    t.equal(found, dripped);
  });
}
