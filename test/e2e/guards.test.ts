import type { IncomingMessage, ServerResponse } from 'node:http';
import t from 'tap';
import type { Exchange } from '../../src/exchange/exchange.ts';
import type { GuardSettings } from '../../src/policy/settings.ts';
import { framed } from '../support/clients/raw-grpc.ts';
import { message } from '../support/clients/unary.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { makeToken } from '../support/tokens.ts';
import { openVerdictLanes, type Request } from '../support/verdicts/lanes.ts';

/** Guards of the policy through the running gateway, over every lane. */

const guards: readonly GuardSettings[] = [
  { id: 'prod-stays', mode: 'enforce', protected: ['prod-*'] },
  { id: 'ice', mode: 'enforce', freeze: ['ice', 'cold-*'] },
  { id: 'maybe', mode: 'shadow', protected: ['maybe'], freeze: ['slush'] },
];

const rails: (string | undefined)[] = [];
const gateway = await startGateway({
  guards,
  observers: [({ rail, shadowed }: Exchange) => rails.push(rail ?? shadowed?.rule)],
  upstream: {
    onRest: (incoming: IncomingMessage, response: ServerResponse) => {
      incoming.resume();
      incoming.once('end', () =>
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"result":true}'),
      );
      return incoming.url !== '/';
    },
    onGrpc: (stream) => {
      stream.resume();
      stream.once('end', () => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.end(framed(Buffer.alloc(0)));
      });
      return true;
    },
  },
});
const lanes = await openVerdictLanes(gateway);
t.teardown(async () => {
  lanes.close();
  await gateway.close();
});

const request = (
  [method, path, body]: Request['rest'],
  [call, fields]: [string, Parameters<typeof message>[0]],
): Request => ({
  rest: body === undefined ? [method, path] : [method, path, body],
  grpc: [`/qdrant.${call}`, message(fields)],
});
const remove = (name: string) => request(['DELETE', `/collections/${name}`], ['Collections/Delete', { 1: name }]);
const create = (name: string) => request(['PUT', `/collections/${name}`, '{}'], ['Collections/Create', { 1: name }]);
const upsert = (name: string) =>
  request(['PUT', `/collections/${name}/points`, '{"points":[]}'], ['Points/Upsert', { 1: name }]);
const query = (name: string) =>
  request(['POST', `/collections/${name}/points/query`, '{}'], ['Points/Query', { 1: name }]);
const dropIndex = (name: string) =>
  request(['DELETE', `/collections/${name}/index/f`], ['Points/DeleteFieldIndex', { 1: name, 3: 'f' }]);
const dropVector = (name: string) =>
  request(['DELETE', `/collections/${name}/vectors/v`], ['Points/DeleteVectorName', { 1: name, 3: 'v' }]);
const snapshot = (name: string) =>
  request(['POST', `/collections/${name}/snapshots`], ['Snapshots/Create', { 1: name }]);
const alias = (collection: string, name: string) =>
  request(
    [
      'POST',
      '/collections/aliases',
      JSON.stringify({ actions: [{ create_alias: { collection_name: collection, alias_name: name } }] }),
    ],
    ['Collections/UpdateAliases', { 1: message({ 1: message({ 1: collection, 2: name }) }) }],
  );
const unknown = request(['POST', '/no/such/route', '{}'], ['Collections/New', { 1: 'prod-1' }]);

const ADMIN = { 'api-key': KEYS.admin };
const WRITER = {
  'api-key': makeToken({ access: ['prod-1', 'ice'].map((collection) => ({ collection, access: 'rw' })) }),
};
const READER = { 'api-key': makeToken({ access: 'r' }) };
const confirmed = (name: string) => ({ ...ADMIN, 'x-qdrant-gateway-confirm': name });
const kept = (name: string): string =>
  `Forbidden: Collection ${name} is protected, name it in \`x-qdrant-gateway-confirm\` if you mean it`;
const frozen = (name: string): string => `Forbidden: Nothing is written to collection ${name} at the moment`;

const CASES: readonly [name: string, Request, Readonly<Record<string, string>>, answer: string, rail?: string][] = [
  ['the admin key deletes another collection', remove('other'), ADMIN, 'ok'],
  ['and no protected one', remove('prod-1'), ADMIN, kept('prod-1'), 'prod-stays'],
  ['unless it names it', remove('prod-1'), confirmed('prod-1'), 'ok'],
  ['and no other', remove('prod-1'), confirmed('prod-2'), kept('prod-1'), 'prod-stays'],
  ['a protected collection is written', upsert('prod-1'), ADMIN, 'ok'],
  ['also by a token for it', upsert('prod-1'), WRITER, 'ok'],
  ['whose index it does not drop', dropIndex('prod-1'), WRITER, kept('prod-1'), 'prod-stays'],
  ['nor its vector', dropVector('prod-1'), ADMIN, kept('prod-1'), 'prod-stays'],
  ['an alias moves elsewhere', alias('other', 'live'), ADMIN, 'ok'],
  ['and not onto it', alias('prod-1', 'live'), ADMIN, kept('prod-1'), 'prod-stays'],
  ['nor when its alias is protected', alias('other', 'prod-live'), ADMIN, kept('prod-live'), 'prod-stays'],
  ['unless it is named', alias('prod-1', 'live'), confirmed('prod-1'), 'ok'],
  ['what the gateway does not know is not tried', unknown, ADMIN, 'Forbidden: Nothing is written at the moment', 'ice'],
  ['a frozen collection is read', query('ice'), ADMIN, 'ok'],
  ['and not written', upsert('ice'), ADMIN, frozen('ice'), 'ice'],
  ['nor by a token for it', upsert('ice'), WRITER, frozen('ice'), 'ice'],
  ['nor created', create('cold-1'), ADMIN, frozen('cold-1'), 'ice'],
  ['nor deleted though it is named', remove('ice'), confirmed('ice'), frozen('ice'), 'ice'],
  ['but saved', snapshot('ice'), ADMIN, 'ok'],
  ['another one is written', upsert('other'), ADMIN, 'ok'],
  ['the access comes first', upsert('ice'), READER, 'Forbidden: Global manage access is required'],
  ['a guard in shadow lets pass', remove('maybe'), ADMIN, 'ok', 'maybe'],
  ['a freeze in shadow, too', upsert('slush'), ADMIN, 'ok', 'maybe'],
];

for (const [name, asked, headers, answer, rail] of CASES) {
  t.test(name, async (test) => {
    rails.length = 0;
    const heard = await lanes.ask(asked, headers);
    test.same(
      heard,
      heard.map(() => answer),
    );
    test.same(new Set(rails), new Set([rail]), 'the audit and the log have the guard');
  });
}

t.test('the header is for the gateway alone', async (test) => {
  gateway.upstream.recorder.clear();
  await lanes.ask(remove('prod-1'), confirmed('prod-1'));
  const { rest, grpc } = gateway.upstream.recorder;
  test.equal(rest.length + grpc.length, 5);
  test.notMatch(JSON.stringify([rest, grpc]), /confirm/i);
});
