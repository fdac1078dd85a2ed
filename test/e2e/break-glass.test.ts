import t from 'tap';
import type { AuditEvent } from '../../src/audit/event.ts';
import { recordOf } from '../../src/audit/record.ts';
import type { Exchange, Outcome } from '../../src/exchange/exchange.ts';
import { newKeyText } from '../../src/identity/key-text.ts';
import type { NamedKeySettings } from '../../src/policy/named-key.ts';
import { firstRefusal } from '../../src/policy/rules.ts';
import { ask } from '../support/clients/raw-rest.ts';
import { message, rawClient, unary } from '../support/clients/unary.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { namedKey } from '../support/named-keys.ts';
import { until } from '../support/until.ts';
import { AGREEABLE, fromAll, openVerdictLanes, type Request, VERDICT_LANES } from '../support/verdicts/lanes.ts';

/* Break-glass keys through the running gateway, over every lane: allow beside deny. */

const HOUR = 3_600_000;
const texts: Record<string, string> = {};
function glass(id: string, more: Partial<NamedKeySettings> = {}): NamedKeySettings {
  const text = newKeyText(id);
  texts[id] = text;
  return namedKey(id, text, {
    ...{ access: 'm', breakGlass: true, notBefore: Date.now() - HOUR, expiresAt: Date.now() + HOUR },
    ...more,
  });
}
texts.admin = KEYS.admin;

const events: AuditEvent[] = [];
const observe = (exchange: Exchange, outcome: Outcome): void => {
  const trust = { trustedProxies: 0, trustForwardedHeaders: false };
  const event = recordOf(exchange, outcome, { id: '', at: 0, now: 0 }, { trust, logApi: false, firstRefusal });
  if (event) events.push(event);
};
const plain = newKeyText('plain');
texts.plain = plain;

const gateway = await startGateway({
  namedKeys: [
    glass('glass'),
    glass('reader', { access: 'r' }),
    glass('ruled'),
    glass('limited'),
    glass('ended', { expiresAt: Date.now() - 1 }),
    glass('later', { notBefore: Date.now() + HOUR }),
    glass('off', { disabled: true }),
    namedKey('plain', plain, { access: 'm' }),
  ],
  rules: [{ id: 'only-search', mode: 'enforce', keys: ['ruled'], access: 'm', operations: ['search'] }],
  guards: [
    { id: 'ice', mode: 'enforce', freeze: ['ice'] },
    { id: 'kept', mode: 'enforce', protected: ['kept', 'both'], freeze: ['both'] },
    { id: 'slush', mode: 'shadow', freeze: ['slush'] },
  ],
  limits: [{ id: 'once', mode: 'enforce', each: 'all', keys: ['limited'], requests: { per: 'day', most: 1 } }],
  observers: [observe],
  settings: { 'gateway.admin.port': 0, 'gateway.admin.token': 'admin-token-0123456789' },
  upstream: {
    ...AGREEABLE,
    onRest: (incoming, response) => {
      if (incoming.method !== 'DELETE') return AGREEABLE.onRest?.(incoming, response) ?? false;
      incoming.resume();
      incoming.once('end', () =>
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"result":true}'),
      );
      return true;
    },
  },
});
const lanes = await openVerdictLanes(gateway);
t.teardown(async () => {
  lanes.close();
  await gateway.close();
});

const query: Request = {
  rest: ['POST', '/collections/docs/points/query', '{}'],
  grpc: ['/qdrant.Points/Query', message({ 1: 'docs' })],
};
const upsert = (name: string): Request => ({
  rest: ['PUT', `/collections/${name}/points`, '{"points":[]}'],
  grpc: ['/qdrant.Points/Upsert', message({ 1: name })],
});
const dropIndex = (name: string): Request => ({
  rest: ['DELETE', `/collections/${name}/index/f`],
  grpc: ['/qdrant.Points/DeleteFieldIndex', message({ 1: name, 3: 'f' })],
});
const unknown: Request = { rest: ['POST', '/no/such/route', '{}'], grpc: ['/qdrant.Collections/New', message({})] };
const open: Request = { rest: ['GET', '/healthz'], grpc: ['/qdrant.Qdrant/HealthCheck', message({})] };

const WHY = { 'x-qdrant-gateway-reason': 'ticket 4711' };
const confirm = (name: string) => ({ 'x-qdrant-gateway-confirm': name });
const NEEDED = 'Forbidden: A request with this key needs its reason in one header `x-qdrant-gateway-reason`';
const frozen = (name: string) => `Forbidden: Nothing is written to collection ${name} at the moment`;
const kept = (name: string) =>
  `Forbidden: Collection ${name} is protected, name it in \`x-qdrant-gateway-confirm\` if you mean it`;

interface Told {
  readonly key?: string;
  readonly rule?: string;
  readonly reason?: string;
  readonly code?: string;
}
const why = { reason: 'ticket 4711' };
const used = { key: 'glass', ...why };
const unsaid = { key: 'glass', code: 'reason_required' };

type Row = readonly [
  name: string,
  key: string,
  request: Request,
  headers: Readonly<Record<string, string>>,
  answer: string,
  /** All of these that the audit event has. */
  told: Told,
];

const ROWS: readonly Row[] = [
  ['a request with a reason', 'glass', query, WHY, 'ok', used],
  ['a request without', 'glass', query, {}, NEEDED, unsaid],
  ['an empty reason', 'glass', query, { 'x-qdrant-gateway-reason': '' }, NEEDED, unsaid],
  ['a reason of dashes', 'glass', query, { 'x-qdrant-gateway-reason': '---' }, NEEDED, unsaid],
  ['a header of another name', 'glass', query, { 'x-reason': 'a' }, NEEDED, unsaid],
  [
    'the reason is one line',
    'glass',
    query,
    { 'x-qdrant-gateway-reason': 'a  %0a  b' },
    'ok',
    { ...used, reason: 'a %0a b' },
  ],
  ['another named key needs none', 'plain', query, {}, 'ok', { key: 'plain' }],
  ['and its reason is not recorded', 'plain', query, WHY, 'ok', { key: 'plain' }],
  ['nor does the native key', 'admin', query, {}, 'ok', { key: 'api_key' }],
  [
    'its access holds',
    'reader',
    upsert('docs'),
    WHY,
    'Forbidden: Global manage access is required',
    { key: 'reader', ...why, code: 'global_manage_required' },
  ],
  [
    'a rule holds',
    'ruled',
    upsert('docs'),
    WHY,
    'Forbidden: Operation points.upsert is not allowed',
    { key: 'ruled', ...why, rule: 'only-search', code: 'operation_not_allowed' },
  ],
  ['and permits what it permits', 'ruled', query, WHY, 'ok', { key: 'ruled', ...why }],
  ['a frozen collection is written', 'glass', upsert('ice'), WHY, 'ok', { ...used, rule: 'ice' }],
  ['not without a reason', 'glass', upsert('ice'), {}, NEEDED, unsaid],
  [
    'nor by another key with one',
    'plain',
    upsert('ice'),
    WHY,
    frozen('ice'),
    { key: 'plain', rule: 'ice', code: 'writes_frozen' },
  ],
  ['no guard is named where none is passed', 'glass', upsert('docs'), WHY, 'ok', used],
  ['a freeze in shadow is not noted', 'glass', upsert('slush'), WHY, 'ok', used],
  [
    'a protected collection stays',
    'glass',
    dropIndex('kept'),
    WHY,
    kept('kept'),
    { ...used, rule: 'kept', code: 'collection_protected' },
  ],
  ['unless it is named', 'glass', dropIndex('kept'), { ...WHY, ...confirm('kept') }, 'ok', used],
  [
    'a frozen and protected one, too',
    'glass',
    dropIndex('both'),
    WHY,
    kept('both'),
    { ...used, rule: 'kept', code: 'collection_protected' },
  ],
  [
    'unless it is named, which passes the freeze',
    'glass',
    dropIndex('both'),
    { ...WHY, ...confirm('both') },
    'ok',
    { ...used, rule: 'kept' },
  ],
  ['its end holds', 'ended', query, WHY, 'The API key has expired', { key: 'ended', code: 'key_expired' }],
  ['and its begin', 'later', query, WHY, 'The API key is not valid yet', { key: 'later', code: 'key_not_yet_valid' }],
  ['and its state', 'off', query, WHY, 'Invalid API key or JWT', { key: 'off', code: 'key_disabled' }],
  ['a wrong secret says nothing about it', 'wrong', query, {}, 'Invalid API key or JWT', { code: 'bad_credential' }],
];
texts.wrong = newKeyText('glass');

/** The text names the row, which each protocol has its own of. */
const overGrpc = (answer: string): string => answer.replace('points.upsert', 'qdrant.Points/Upsert');

for (const [name, key, request, headers, answer, told] of ROWS) {
  t.test(name, async (test) => {
    events.length = 0;
    const heard = await lanes.ask(request, { 'api-key': texts[key] ?? '', ...headers });
    test.same(heard, [...fromAll(answer).slice(1), overGrpc(answer)]);
    await until(() => events.length === VERDICT_LANES, 'all are recorded');
    for (const { key: used, rule, reason, code } of events) {
      const absent = { key: undefined, rule: undefined, reason: undefined, code: undefined };
      test.same({ key: used, rule, reason, code }, { ...absent, ...told });
    }
  });
}

t.test('an operation that needs no credential needs no reason', async (test) => {
  test.same(await lanes.ask(open, { 'api-key': texts.glass ?? '' }), fromAll('ok'));
});

t.test('an unknown operation needs one, and then is what it is', async (test) => {
  const key = { 'api-key': texts.glass ?? '' };
  test.same(await lanes.ask(unknown, key), fromAll(NEEDED));
  const told = await lanes.ask(unknown, { ...key, ...WHY });
  test.ok(
    told.every((one) => one !== 'ok' && one !== NEEDED),
    told.join(' | '),
  );
});

t.test('a reason that is given twice is none', async (test) => {
  const client = rawClient(gateway);
  test.teardown(() => client.close());
  const twice = ['a', 'a'] as const;
  const answer = await ask(gateway, 'GET', '/collections/docs', {
    'api-key': texts.glass ?? '',
    'x-qdrant-gateway-reason': twice,
  } as never);
  test.equal(answer.status, 403);
  const binary = { 'api-key': texts.glass ?? '', 'x-qdrant-gateway-reason-bin': Buffer.from('why') } as never;
  test.equal((await unary(client, query.grpc[0], query.grpc[1], binary)).message, NEEDED, 'binary metadata is none');
});

t.test('a limit holds', async (test) => {
  const key = { 'api-key': texts.limited ?? '', ...WHY };
  const heard = await lanes.ask(query, key);
  test.equal(heard.filter((one) => one === 'ok').length, 1);
  test.match(heard.at(-1), /^Rate limiting exceeded: limit once/);
});

t.test('the reason is for the gateway alone', async (test) => {
  gateway.upstream.recorder.clear();
  await lanes.ask(query, { 'api-key': texts.glass ?? '', ...WHY });
  const { rest, grpc } = gateway.upstream.recorder;
  test.equal(rest.length + grpc.length, VERDICT_LANES);
  test.notMatch(JSON.stringify([rest, grpc]), /4711|gateway-reason/i);
});

t.test('uses and refusals are counted', async (test) => {
  const { permit = 0, denied = 0 } = gateway.snapshot().observed?.breakGlass ?? {};
  const before = { permit, denied };
  await lanes.ask(query, { 'api-key': texts.glass ?? '', ...WHY });
  await lanes.ask(query, { 'api-key': texts.ended ?? '', ...WHY });
  await lanes.ask(query, { 'api-key': texts.plain ?? '', ...WHY });
  const expected = { permit: before.permit + VERDICT_LANES, denied: before.denied + VERDICT_LANES };
  await until(() => gateway.snapshot().observed?.breakGlass.denied === expected.denied, 'all are counted');
  test.match(gateway.snapshot().observed?.breakGlass, expected);
});
