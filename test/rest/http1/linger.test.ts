import t from 'tap';
import {
  isSwallowed,
  KNOWN_LINGER_IDLE_MS,
  LAST_LOOK_MS,
  LINGER_BYTES,
  LINGER_IDLE_MS,
  LINGER_MS,
  Linger,
} from '../../../src/rest/http1/linger.ts';

t.test('a body that is thrown away has bounds in pauses, bytes and time', async (t) => {
  t.equal(new Linger(1_000, false).deadline, 1_000 + LINGER_IDLE_MS, 'a stranger may pause for a short time');
  t.equal(new Linger(1_000, true).deadline, 1_000 + KNOWN_LINGER_IDLE_MS, 'a caller that is known for longer');
  const slow = new Linger(0, true);
  let now = 0;
  for (; now < LINGER_MS; now += LINGER_IDLE_MS) t.ok(slow.take(1, now));
  t.equal(slow.deadline, LINGER_MS, 'bytes now and then do not go on for ever');
  const large = new Linger(0, false);
  t.ok(large.take(LINGER_BYTES - 1, 10), 'up to the bound it is read');
  t.notOk(large.take(1, 20), 'and no further');
  t.equal(large.deadline, 20 + LAST_LOOK_MS, 'the client has a moment to read its answer then');
});

t.test('what is known to be larger than the bound is not read for the sake of the connection', async (t) => {
  t.strictSame(
    [undefined, 0, LINGER_BYTES, LINGER_BYTES + 1].map((length) => isSwallowed(length)),
    [true, true, true, false],
  );
});
