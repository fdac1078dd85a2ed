import t from 'tap';
import { createThrottle, describeFault } from '../../src/observability/log.ts';

t.test('no more lines a second than allowed, and none is forgotten', async (t) => {
  let now = 1000;
  const mayLog = createThrottle(2, () => now);
  t.same([mayLog(), mayLog(), mayLog(), mayLog()], [0, 0, undefined, undefined]);
  now = 2000;
  t.same([mayLog(), mayLog(), mayLog()], [2, 0, undefined]);
});

t.test('of an error only its class, code and place are logged, never its message', async (t) => {
  const error = Object.assign(new TypeError('bad token eyJhbGciOi'), { code: 'ERR_X' });
  const described = describeFault(error);
  t.match(described, { fault: 'TypeError', code: 'ERR_X' });
  t.notMatch(JSON.stringify(described), /eyJ/);
  t.same(describeFault('eyJ'), { fault: 'string' });
});
