import t from 'tap';
import { grpcTimeoutOf } from '../../src/grpc/call-timeout.ts';
import { GrpcExchange, type GrpcSteps } from '../../src/grpc/exchange.ts';
import type { RequestHead } from '../../src/grpc/headers/request-head.ts';
import { callLimit } from '../../src/grpc/idle-limits.ts';
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
