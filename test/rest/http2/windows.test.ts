import fc from 'fast-check';
import t from 'tap';
import { ReceiveWindow } from '../../../src/rest/http2/receive-window.ts';

t.test('a window takes what it granted and not a byte more', async (t) => {
  const window = new ReceiveWindow(3, 1000);
  window.received(600);
  window.received(400);
  t.equal(window.fits(1), false);
  t.throws(() => window.received(1), { code: 3, streamId: 3 });
  t.equal(window.unused, 1000);
  t.equal(window.consumed(100), 0, 'little is gathered');
  t.equal(window.consumed(200), 300, 'a quarter is returned at once');
  t.equal(window.unused, 700);
  t.equal(window.urgent(), 0, 'little that is used');
  const large = new ReceiveWindow(0, 100_000);
  large.received(70_000);
  t.equal(large.consumed(20_000), 0, 'less than a quarter');
  t.equal(large.urgent(), 0, 'enough is left');
  large.received(10_000);
  t.equal(large.urgent(), 20_000, 'little is left');
  t.equal(large.urgent(), 0, 'once');
  t.equal(window.grow(2000), 1000);
  t.equal(window.grow(1500), 0, 'it never becomes smaller');
});

t.test('whatever comes and is used, a client can send the size, less what is unused, and no more', async (t) => {
  const steps = fc.array(fc.record({ come: fc.nat(500), use: fc.nat(500) }), { maxLength: 50 });
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(steps, (taken) => {
        const window = new ReceiveWindow(1, 1000);
        let granted = 1000;
        for (const { come, use } of taken) {
          const size = Math.min(come, granted);
          window.received(size);
          granted -= size;
          const used = Math.min(use, window.unused);
          granted += window.consumed(used);
          if (granted + window.unused > 1000) return false;
          // At most a quarter is held back: a client that waits is granted more once all is used.
          if (window.unused === 0 && granted <= 750) return false;
        }
        return true;
      }),
    ),
  );
});
