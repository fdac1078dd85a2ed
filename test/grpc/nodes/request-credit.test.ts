import t from 'tap';
import { RequestCredit } from '../../../src/grpc/nodes/request-credit.ts';
import { ClientWindow } from '../../../src/grpc/relay/client-window.ts';
import type { RelayCore } from '../../../src/grpc/relay/relay-core.ts';
import { StreamWindows } from '../../../src/grpc/relay/stream-windows.ts';

/* What a client connection gets back of its window while its requests wait for nodes. */

const MIB = 1_048_576;

function connection(all: { bytes: number }) {
  const told: number[] = [];
  const window = new ClientWindow();
  const parts = { window, streamWindows: new StreamWindows(), client: { sendSettings: settings } };
  function settings([[, size]]: readonly [readonly [number, number]]): void {
    told.push(size);
  }
  const credit = new RequestCredit(parts as unknown as RelayCore, all);
  credit.greet();
  window.takeReturn();
  return {
    ...{ credit, told },
    /** So much comes, and waits. Returns what the client may send again. */
    stuck(bytes: number): number {
      credit.waits(bytes);
      credit.received(bytes);
      return window.takeReturn();
    },
    returned: () => window.takeReturn(),
  };
}

t.test('a connection gets all of it back up to 16 MiB, and is told of narrow windows from 1 MiB on', async (t) => {
  const { credit, told, stuck, returned } = connection({ bytes: 0 });
  t.equal(stuck(MIB / 2), MIB / 2);
  t.strictSame(told, [262_144]);
  t.equal(stuck(MIB / 2), MIB / 2);
  t.strictSame(told, [262_144, 65_535]);
  t.equal(stuck(15 * MIB), 15 * MIB);
  t.equal(stuck(MIB), 0, 'no more');
  credit.left(MIB / 2);
  t.equal(returned(), MIB / 2);
  credit.left(16.5 * MIB);
  t.equal(returned(), MIB / 2);
  t.strictSame(told, [262_144, 65_535, 262_144], 'wide again');
});

t.test('where all connections together hold 256 MiB, each has 1 MiB, until there is room again', async (t) => {
  const all = { bytes: 250 * MIB };
  const one = connection(all);
  t.equal(one.stuck(4 * MIB), 4 * MIB);
  all.bytes += 10 * MIB;
  t.equal(one.stuck(MIB), 0);
  one.credit.tick();
  t.equal(one.returned(), 0);
  const other = connection(all);
  t.equal(other.stuck(MIB / 2), MIB / 2, 'a little goes on');
  all.bytes -= 100 * MIB;
  one.credit.tick();
  t.equal(one.returned(), MIB, 'without anything of its own having moved');
  one.credit.left(5 * MIB);
  other.credit.left(MIB / 2);
  t.equal(all.bytes, 160 * MIB);
});
