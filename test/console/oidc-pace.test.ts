import t from 'tap';
import { LoginPace } from '../../src/console/server/login-pace.ts';
import type { OidcLogin, PendingLogin } from '../../src/console/server/oidc.ts';
import { OidcRoutes } from '../../src/console/server/oidc-routes.ts';
import { Sessions } from '../../src/console/server/sessions.ts';
import type { ConsoleSource } from '../../src/console/server/source.ts';

/* Answers of an identity provider, by a clock of the test: wrong ones are paced, and each begun login is good for one. */

t.test('wrong answers of one network are paced, whatever logins they are for', async (t) => {
  let now = 0;
  const asked: string[] = [];
  const sessions = new Sessions({ now: () => now, minutes: () => 5 });
  const pace = new LoginPace(() => now);
  const oidc = {
    ...{ isOn: true, settings: { public_url: 'http://localhost' }, roleOf: () => 'read' },
    finish: async ({ state }: PendingLogin) => {
      asked.push(state);
      if (state.startsWith('wrong')) throw new Error('not accepted');
      return { subject: 'ada', issuer: 'https://login.example', values: [] };
    },
  } as unknown as OidcLogin;
  const source = { acted: () => undefined } as unknown as ConsoleSource;
  const routes = new OidcRoutes({ source, sessions, oidc, pace });
  const answer = async (state: string, remote = '192.0.2.1'): Promise<number> => {
    const texts = { state, nonce: 'n', verifier: 'v', issuer: 'https://login.example' };
    const cookie = `qdrant-console-login=${await sessions.seal({ ...texts, until: 1 })}`;
    const request = {
      port: 'admin',
      method: 'GET',
      target: '',
      headers: ['cookie', cookie],
      host: 'localhost',
    } as const;
    return (await routes.callback({ ...request, remote, tls: false, body: new Uint8Array() }, 'code=x')).status;
  };
  for (let count = 0; count < 30; count += 1) t.equal(await answer(`wrong ${count}`), 400);
  t.equal(await answer('wrong 30'), 429, 'a network has 30 tries');
  t.equal(await answer('right'), 429, 'a right one has to wait, too');
  t.equal(asked.length, 30, 'the provider is not asked');
  t.equal(await answer('right', '198.51.100.1'), 303, 'another network goes on');
  t.ok(pace.begin('192.0.2.1') > 0, 'a login by a key waits as well');
  now += 2000;
  t.equal(await answer('wrong 31'), 400, 'one is free again');
  t.equal(await answer('wrong 0', '198.51.100.1'), 400);
  t.equal(asked.filter((state) => state === 'wrong 0').length, 1, 'a begun login reaches the provider once');
});
