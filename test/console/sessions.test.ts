import t from 'tap';
import { DATA_ROWS } from '../../src/console/server/data/table.ts';
import { Sessions } from '../../src/console/server/sessions.ts';
import { MAX_CONSOLE_BODY } from '../../src/exchange/console-request.ts';

/* Sessions by a clock of the test, and the table of endpoints. */

const MINUTE = 60_000;
const ADA = { role: 'full', kind: 'key', keyId: 'api_key', name: 'api_key', remote: '127.0.0.1' } as const;

t.test('a session ends after its minutes, used or not, and nothing brings it back', async (t) => {
  let now = 1_800_000_000_000;
  let minutes = 5;
  const sessions = new Sessions({ now: () => now, minutes: () => minutes });
  const { cookie, seconds } = await sessions.open({ by: 'key', credential: 'a key' }, ADA);
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

t.test('there are so many sessions at most, and who opens most ends the own ones', async (t) => {
  const sessions = new Sessions({ now: () => 0, minutes: () => 5 });
  const open = async (name: string) => (await sessions.open({ by: 'key', credential: name }, { ...ADA, name })).cookie;
  const isOpen = async (cookie: string | undefined) => (await sessions.find(cookie)) !== undefined;
  const ada = await open('ada');
  const ben: string[] = [];
  for (let count = 0; count < 51; count++) ben.push(await open('ben'));
  t.strictSame([await isOpen(ben[0]), await isOpen(ben[1])], [false, true], 'of one caller 50');
  t.ok(await isOpen(ada), 'another one is not touched');
  for (let count = 0; count < 949; count++) await open(`person ${count}`);
  t.equal(sessions.size, 1000);
  const last = await open('one more');
  t.equal(sessions.size, 1000);
  t.strictSame(
    [await isOpen(ada), await isOpen(ben[1]), await isOpen(ben[2]), await isOpen(last)],
    [true, false, true, true],
    'of all 1000: the oldest of who has most is ended',
  );
});

t.test('callers that only read end no session of those who change something', async (t) => {
  const sessions = new Sessions({ now: () => 0, minutes: () => 5 });
  const admin = await sessions.open({ by: 'key', credential: 'admin' }, ADA);
  const cookies: string[] = [];
  for (let count = 0; count < 1001; count++) {
    const reader = { ...ADA, role: 'read', name: `reader ${count}` } as const;
    cookies.push((await sessions.open({ by: 'key', credential: 'a token' }, reader)).cookie);
  }
  t.equal(sessions.size, 1000);
  t.equal(await sessions.find(cookies[0]), undefined);
  t.ok(await sessions.find(cookies[1000]));
  t.ok(await sessions.find(admin.cookie));
});

t.test('open sessions are listed with their last caller, and each is ended alone', async (t) => {
  let now = 1_000_000;
  const sessions = new Sessions({ now: () => now, minutes: () => 5 });
  const [first, second] = [
    await sessions.open({ by: 'key', credential: 'secret one' }, ADA),
    await sessions.open({ by: 'key', credential: 'secret two' }, { ...ADA, name: 'ben' }),
  ];
  now += MINUTE;
  sessions.saw(first.session.id, { ...ADA, role: 'read', remote: '192.0.2.1' });
  sessions.saw('another', ADA);
  const shown = sessions.list();
  t.match(shown, [
    { id: second.session.id, caller: { name: 'ben', role: 'full' }, openedAt: 1_000_000, seenAt: 1_000_000 },
    { id: first.session.id, caller: { role: 'read', remote: '192.0.2.1' }, seenAt: 1_060_000, expiresAt: 1_300_000 },
  ]);
  t.notMatch(JSON.stringify(shown), /secret|sealed/, 'no credential is told');
  t.match(sessions.end(second.session.id), { name: 'ben' });
  t.equal(sessions.end(second.session.id), undefined, 'once');
  t.equal(await sessions.find(second.cookie), undefined);
  t.match(await sessions.find(first.cookie), { id: first.session.id }, 'the other one goes on');
  now += 4 * MINUTE;
  t.strictSame(sessions.list(), [], 'one that is over is not listed');
});

t.test('what is sealed for a login opens no session, and the other way round', async (t) => {
  const sessions = new Sessions({ now: () => 0, minutes: () => 5 });
  const { cookie, session } = await sessions.open({ by: 'key', credential: 'a key' }, ADA);
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
