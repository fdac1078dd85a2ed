import t from 'tap';
import type { GrpcExchange } from '../../src/grpc/exchange.ts';
import { StreamWindows } from '../../src/grpc/relay/stream-windows.ts';
import { ErrorCode, Http2Fault, MAX_WINDOW } from '../../src/http2/frames.ts';

type Call = Pick<GrpcExchange, 'id' | 'windowGain' | 'upstreamGrants' | 'flowBytes'>;

const INITIAL = 65_535;

function call(fields: Partial<Call> = {}): GrpcExchange {
  return { id: 1, windowGain: 0, upstreamGrants: 0, flowBytes: 0, ...fields } as GrpcExchange;
}

/** The most DATA of upstream's that is within the window. */
function most(windows: StreamWindows, exchange: GrpcExchange): number {
  for (const bytes of [0, 100, 300, 1000, INITIAL, 100_000]) {
    if (windows.isOverrun(exchange, bytes + 1)) return bytes;
  }
  return Number.POSITIVE_INFINITY;
}

type Step = 'acknowledged' | 'adopt' | number;

/** What the client sets (a number) and upstream acknowledges, and how much DATA upstream may send after each step. */
const SETTINGS: readonly (readonly [name: string, steps: readonly (readonly [Step, number])[]])[] = [
  [
    'a smaller window holds when upstream has acknowledged it',
    [
      [100, INITIAL],
      ['acknowledged', 100],
    ],
  ],
  [
    'a larger window holds at once',
    [
      [100_000, 100_000],
      ['acknowledged', 100_000],
    ],
  ],
  [
    'the largest that is not acknowledged holds',
    [
      [100_000, 100_000],
      [100, 100_000],
      [300, 100_000],
      ['acknowledged', 100_000],
      ['acknowledged', 300],
      ['acknowledged', 300],
    ],
  ],
  [
    'what was not passed is not acknowledged',
    [
      ['acknowledged', INITIAL],
      [100, INITIAL],
      ['acknowledged', 100],
    ],
  ],
  [
    'a new upstream begins with the last',
    [
      [300, INITIAL],
      [100, INITIAL],
      ['adopt', 100],
      ['acknowledged', 100],
    ],
  ],
];

for (const [name, steps] of SETTINGS) {
  t.test(name, async (t) => {
    const windows = new StreamWindows();
    const exchange = call();
    t.equal(most(windows, exchange), INITIAL);
    for (const [step, expected] of steps) {
      if (typeof step === 'number') {
        windows.setByClient(step, [exchange]);
        windows.passed();
      } else windows[step]();
      t.equal(most(windows, exchange), expected, `after ${step}`);
    }
  });
}

t.test('DATA of no bytes never overruns a window', async (t) => {
  const windows = new StreamWindows();
  t.notOk(windows.isOverrun(call({ windowGain: -INITIAL - 1000 }), 0));
  t.ok(windows.isOverrun(call({ windowGain: -INITIAL - 1000 }), 1));
});

t.test('no window of the client grows past the largest', async (t) => {
  const windows = new StreamWindows();
  const exchange = call({ id: 7 });
  windows.grantedByClient(exchange, MAX_WINDOW - INITIAL);
  t.equal(windows.room(exchange), MAX_WINDOW);
  t.throws(
    () => windows.grantedByClient(exchange, 1),
    new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, 7, 'stream window overflow'),
  );
  t.throws(
    () => windows.setByClient(INITIAL + 1, [exchange]),
    new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, 0, 'stream window overflow'),
  );
  windows.setByClient(INITIAL - 1, [exchange]);
  t.equal(windows.room(exchange), MAX_WINDOW - 1);
});

t.test('no window of upstream grows past the largest; what the client has sent is used up', async (t) => {
  const windows = new StreamWindows();
  const exchange = call({ flowBytes: 10 });
  t.ok(windows.grantedByUpstream(exchange, MAX_WINDOW - INITIAL + 10));
  t.notOk(windows.grantedByUpstream(exchange, 1));
  t.equal(exchange.upstreamGrants, MAX_WINDOW - INITIAL + 10);
  t.throws(
    () => windows.setByUpstream(INITIAL + 1, [exchange]),
    new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, 0, 'stream window overflow'),
  );
  windows.setByUpstream(1000, [exchange]);
  t.same([windows.fromClient, windows.mostFromClient], [1000, INITIAL]);
});
