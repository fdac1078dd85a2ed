import t from 'tap';
import { faultOf, retryAfter } from '../../src/acme/answers.ts';
import { AcmeClient } from '../../src/acme/client.ts';
import { newAccountKeyPem, readAccountKey } from '../../src/acme/jws.ts';
import { afterFailure, afterSuccess, dueAt, fingerprintOf, renewalAt, type Schedule } from '../../src/acme/schedule.ts';
import type { AcmeAnswer, Ask } from '../../src/acme/transport.ts';
import type { Issued } from '../../src/acme/x509.ts';
import { settingsFor } from '../support/acme/renewing.ts';

const DAY = 86_400_000;
const NOW = Date.parse('2030-01-01T00:00:00Z');
const settings = settingsFor({ directory: 'https://ca.example/dir', ca: undefined });

function issued(more: Partial<Issued> = {}): Issued {
  return { notBefore: NOW, notAfter: NOW + 90 * DAY, covers: () => true, renewalId: 'a.b', ...more };
}

function schedule(more: Partial<Schedule> = {}): Schedule {
  const { directory, domains } = settings;
  return { settings: fingerprintOf(settings), directory, domains: [...domains], failures: 0, notBefore: 0, ...more };
}

t.test(
  'a certificate is renewed when a third of its life is left, or up to a twentieth of its life before',
  async (t) => {
    const times = Array.from({ length: 200 }, (_, at) => renewalAt(issued({ renewalId: `id.${at}` })));
    const [first, last] = [Math.min(...times), Math.max(...times)];
    t.ok(last <= NOW + 60 * DAY && last > NOW + 59.5 * DAY, 'not later');
    t.ok(first >= NOW + 55.5 * DAY && first < NOW + 56 * DAY, 'spread over that time');
    t.equal(renewalAt(issued()), renewalAt(issued()), 'always the same for one certificate');
  },
);

t.test('the window that a certificate authority suggests counts if it is earlier', async (t) => {
  const early = { start: NOW + DAY, end: NOW + 2 * DAY };
  const at = renewalAt(issued(), early);
  t.ok(at >= early.start && at <= early.end);
  t.equal(renewalAt(issued(), { start: NOW + 80 * DAY, end: NOW + 81 * DAY }), renewalAt(issued()));
});

t.test('the next order is due', async (t) => {
  const later = NOW + 3 * DAY;
  const renewal = NOW + 60 * DAY;
  const cases: readonly (readonly [name: string, Schedule | undefined, Issued | undefined, due: number])[] = [
    ['at once without a certificate', undefined, undefined, 0],
    ['after the pause of a failure', schedule({ notBefore: later }), undefined, later],
    ['at once if other settings have failed', schedule({ notBefore: later, settings: 'other' }), undefined, 0],
    ['at its renewal', schedule(), issued(), renewal],
    ['at once if it lacks a name', schedule(), issued({ covers: () => false }), 0],
    ['at once if it is of another directory', schedule({ directory: 'https://other.example/' }), issued(), 0],
    ['after the pause, also if its renewal is due', schedule({ notBefore: NOW + 61 * DAY }), issued(), NOW + 61 * DAY],
  ];
  for (const [name, known, certificate, due] of cases) t.equal(dueAt(settings, known, certificate, renewal), due, name);
});

t.test('pauses grow threefold from a minute to six hours, and are never shorter than what was asked for', async (t) => {
  const minutes = Array.from(
    { length: 9 },
    (_, failures) => (afterFailure(failures, NOW, 0.5, undefined).notBefore - NOW) / 60_000,
  );
  t.same(minutes, [1, 3, 9, 27, 81, 243, 360, 360, 360]);
  t.equal(afterFailure(0, NOW, 0, undefined).notBefore - NOW, 45_000);
  t.equal(afterFailure(0, NOW, 1, undefined).notBefore - NOW, 75_000);
  t.equal(afterFailure(0, NOW, 0.5, NOW + DAY).notBefore, NOW + DAY);
  t.equal(
    afterSuccess(issued(), NOW + 200 * DAY),
    NOW + 200 * DAY + 3_600_000,
    'a clock that is wrong orders nothing in a row',
  );
});

function answerOf(status: number, body: object, headers: Readonly<Record<string, string>> = {}): AcmeAnswer {
  return { status, body: JSON.stringify(body), header: (name) => headers[name], links: () => [] };
}

t.test('problems of a certificate authority', async (t) => {
  const type = (name: string) => ({ type: `urn:ietf:params:acme:error:${name}`, detail: 'why' });
  const soon = { 'retry-after': '3600' };
  const cases: readonly (readonly [name: string, AcmeAnswer, expected: object])[] = [
    ['a limit', answerOf(429, type('rateLimited'), soon), { kind: 'rate_limited', notBefore: NOW + 3_600_000 }],
    ['a limit without a type', answerOf(429, {}, soon), { kind: 'rate_limited', notBefore: NOW + 3_600_000 }],
    ['an outage', answerOf(503, {}, soon), { kind: 'directory', notBefore: NOW + 3_600_000 }],
    ['a closed account', answerOf(401, type('unauthorized')), { kind: 'account', type: 'unauthorized' }],
    ['an account that must be bound', answerOf(403, type('externalAccountRequired')), { kind: 'account' }],
    ['a name that it does not issue for', answerOf(400, type('rejectedIdentifier')), { kind: 'refused' }],
    ['a page', { ...answerOf(500, {}), body: '<html>' }, { kind: 'directory' }],
  ];
  for (const [name, answer, expected] of cases) t.match(faultOf(answer, NOW), expected, name);
  const odd = faultOf(answerOf(400, { type: 'x', detail: `\u001b[31m${'a'.repeat(1000)}` }), NOW);
  t.ok(odd.message.length < 400 && !odd.message.includes('\u001b'), 'its texts are short and printable');
});

t.test('`retry-after` is a number of seconds or a date, a week at most', async (t) => {
  const cases: readonly (readonly [text: string | undefined, at: number | undefined])[] = [
    [undefined, undefined],
    ['0', NOW],
    ['120', NOW + 120_000],
    ['Tue, 01 Jan 2030 06:00:00 GMT', NOW + DAY / 4],
    ['99999999', NOW + 7 * DAY],
    ['Wed, 01 Jan 2031 00:00:00 GMT', NOW + 7 * DAY],
    ['soon', undefined],
  ];
  for (const [text, at] of cases) {
    t.equal(retryAfter(answerOf(200, {}, text === undefined ? {} : { 'retry-after': text }), NOW), at, text ?? 'none');
  }
});

t.test(
  'a certificate authority that answers with something else is a fault, never an exception of the gateway',
  async (t) => {
    const directory = {
      newNonce: 'https://ca.example/n',
      newAccount: 'https://ca.example/a',
      newOrder: 'https://ca.example/o',
    };
    const key = await readAccountKey(newAccountKeyPem());
    const date = { date: new Date(NOW).toUTCString(), 'replay-nonce': 'n' };
    const cases: readonly (readonly [name: string, Ask, message: RegExp])[] = [
      ['a directory that is none', async () => answerOf(200, { hello: 1 }, date), /directory cannot be read/],
      ['a redirect', async () => answerOf(302, {}, date), /answered 302/],
      [
        'an account without an address',
        async (method) => answerOf(200, method === 'GET' ? directory : {}, date),
        /no address/,
      ],
      [
        'nonces that are always refused',
        async (method) =>
          method === 'POST'
            ? answerOf(400, { type: 'urn:ietf:params:acme:error:badNonce' }, date)
            : answerOf(200, directory, date),
        /badNonce/,
      ],
      [
        'another clock',
        async () => answerOf(200, directory, { date: new Date(NOW + 2 * DAY).toUTCString() }),
        /2880 minutes behind/,
      ],
    ];
    for (const [name, ask, message] of cases) {
      const client = new AcmeClient({ ask, directory: 'https://ca.example/dir', key, now: () => NOW });
      await t.rejects(client.open(null, undefined), { name: 'AcmeFault', message }, name);
    }
  },
);
