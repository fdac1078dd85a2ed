import t from 'tap';
import { DATA_ROWS } from '../../src/console/server/data/table.ts';
import { Sessions } from '../../src/console/server/sessions.ts';
import { MAX_CONSOLE_BODY } from '../../src/exchange/console-request.ts';

/* Sessions by a clock of the test, and the table of endpoints. */

const MINUTE = 60_000;

t.test('a session ends after its minutes, used or not, and nothing brings it back', async (t) => {
  let now = 1_800_000_000_000;
  let minutes = 5;
  const sessions = new Sessions({ now: () => now, minutes: () => minutes });
  const { cookie, seconds } = await sessions.open({ by: 'key', credential: 'a key' });
  t.equal(seconds, 300);
  for (let minute = 1; minute < 5; minute++) {
    now += MINUTE;
    t.match(await sessions.find(cookie), { opener: { by: 'key', credential: 'a key' } }, `after ${minute} minutes`);
  }
  minutes = 60;
  now += MINUTE;
  t.equal(await sessions.find(cookie), undefined, 'after 5 minutes, and a longer time is for new sessions');
  now -= MINUTE;
  t.equal(await sessions.find(cookie), undefined, 'also if the clock goes back');
  t.equal(sessions.size, 0);
});

t.test('there are so many sessions at most, and a new one ends the oldest', async (t) => {
  const sessions = new Sessions({ now: () => 0, minutes: () => 5 });
  const cookies: string[] = [];
  for (let count = 0; count < 1001; count++) {
    cookies.push((await sessions.open({ by: 'key', credential: `key ${count}` })).cookie);
  }
  t.equal(sessions.size, 1000);
  t.equal(await sessions.find(cookies[0]), undefined);
  t.match(await sessions.find(cookies[1]), { opener: { credential: 'key 1' } });
});

t.test('what is sealed for a login opens no session, and the other way round', async (t) => {
  const sessions = new Sessions({ now: () => 0, minutes: () => 5 });
  const { cookie, session } = await sessions.open({ by: 'key', credential: 'a key' });
  t.equal(await sessions.unseal(cookie), undefined);
  t.equal(await sessions.find(await sessions.seal({ id: session.id, key: 'x' })), undefined);
  t.strictSame(await sessions.unseal(await sessions.seal({ state: 'x' })), { state: 'x' });
  const another = new Sessions({ now: () => 0, minutes: () => 5 });
  t.equal(await another.unseal(await sessions.seal({ state: 'x' })), undefined, 'of another gateway');
  t.notMatch(cookie, /a key/);
});

t.test('each endpoint stands once in the table, with a role and bounds', async (t) => {
  const names = DATA_ROWS.map(({ method, name }) => `${method} ${name}`);
  t.strictSame([...new Set(names)], names);
  for (const { method, name, role, maxBody = 0 } of DATA_ROWS) {
    t.match(name, /^[a-z0-9-]+(\/[a-z0-9-]+)*$/, name);
    t.ok(role === 'full' || role === 'read', `${method} ${name}: ${role}`);
    t.ok(maxBody <= MAX_CONSOLE_BODY, `${method} ${name}: the body`);
  }
});
