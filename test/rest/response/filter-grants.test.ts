import t from 'tap';
import { filterMessage } from '../../../src/grpc/message/response-filter.ts';
import { resolveGrpc } from '../../../src/grpc/resolve.ts';
import { REST_OPERATIONS } from '../../../src/operations/rest.ts';
import { GLOBAL_READ, type ListAccess, type ScopedAccess } from '../../../src/policy/access.ts';
import { narrow } from '../../../src/policy/narrow.ts';
import { accessOf } from '../../../src/policy/settings.ts';
import { RESPONSE_FILTERS } from '../../../src/rest/response/filter.ts';
import { planFilter } from '../../../src/rest/response/filter-query.ts';
import { filteredGrpcVerdicts, listAnswer } from '../../support/verdicts/filtered-grpc.ts';
import { filteredRestVerdicts, upstreamAnswer } from '../../support/verdicts/filtered-rest.ts';

/*
 * Filtered answers under grants: every recorded answer to a list of collections, once more for grants that cover the same
 * names.
 */

const EXISTING = ['docs', 'drafts', 'notes'];

/** The list in other words: a grant for each name, one by operation for all of them, and both narrowed. */
function inOtherWords({ modes }: ListAccess): readonly ScopedAccess[] {
  const names = [...modes.keys()];
  const byName = accessOf([
    { collections: ['unused'], access: 'r' },
    ...names.map((name) => ({ collections: [name], access: 'r' as const })),
  ]);
  const byOperation = accessOf([{ collections: ['unused-*', ...names], operations: ['search'] }]);
  const words = [byName, byOperation, narrow(byName, byOperation), narrow(byName, GLOBAL_READ)];
  // Filters may run in another thread.
  return words.flatMap((access) => (access.kind === 'global' ? [] : [structuredClone(access)]));
}

t.test('REST: lists, aliases, telemetry and issues', async (test) => {
  let compared = 0;
  for (const { grant, request } of filteredRestVerdicts()) {
    if (typeof grant !== 'object' || grant === null || request.status !== 200) continue;
    const filter = REST_OPERATIONS.find((row) => row.name === request.operation)?.filter;
    if (!filter) throw new TypeError(`${request.operation} has no filter`);
    const access: ListAccess = { kind: 'list', modes: new Map(Object.entries(grant)) };
    const plan = planFilter(filter, request.query);
    const body = Buffer.from(JSON.stringify(upstreamAnswer(request.server, request.path, plan.query)?.answer));
    const context = { view: plan.view, ...(plan.needsNames ? { existing: EXISTING } : {}) };
    const asList = RESPONSE_FILTERS[filter](body, access, context);
    for (const words of inOtherWords(access)) {
      if (!RESPONSE_FILTERS[filter](body, words, context).equals(asList)) test.fail(`${request.path} ${words.kind}`);
      compared += 1;
    }
  }
  test.ok(compared > 500, `${compared} answers compared`);
});

t.test('gRPC: lists and aliases', async (test) => {
  let compared = 0;
  for (const { grant, request } of filteredGrpcVerdicts()) {
    if (typeof grant !== 'object' || grant === null || typeof request.seen === 'string') continue;
    const { filter } = resolveGrpc(request.path).operation;
    if (!filter) throw new TypeError(`${request.path} has no filter`);
    const access: ListAccess = { kind: 'list', modes: new Map(Object.entries(grant)) };
    const asList = filterMessage(filter, listAnswer(request.all), access);
    for (const words of inOtherWords(access)) {
      if (!filterMessage(filter, listAnswer(request.all), words).equals(asList))
        test.fail(`${request.path} ${words.kind}`);
      compared += 1;
    }
  }
  test.ok(compared > 90, `${compared} answers compared`);
});

t.test('a prefix shows what starts with it', async (test) => {
  const access = accessOf([{ collection: 'team-a-*', access: 'r' }]);
  if (access.kind === 'global') throw new TypeError('not a scoped access');
  const names = ['team-a-1', 'team-b-1', 'Team-a-1', 'team-a'];
  const asked = (answer: object) => Buffer.from(JSON.stringify({ result: answer }));
  const shown = (filter: keyof typeof RESPONSE_FILTERS, answer: object): unknown =>
    JSON.parse(RESPONSE_FILTERS[filter](asked(answer), access).toString()).result;
  test.same(shown('collections-list', { collections: names.map((name) => ({ name })) }), {
    collections: [{ name: 'team-a-1' }],
  });
  test.same(shown('issues', { issues: names.map((name) => ({ related_collection: name })) }), {
    issues: [{ related_collection: 'team-a-1' }],
  });
  test.match(
    shown('telemetry', { collections: { number_of_collections: 4, collections: names.map((id) => ({ id })) } }),
    {
      collections: { number_of_collections: 1, collections: [{ id: 'team-a-1' }] },
    },
  );
  test.same(shown('cluster-telemetry', { collections: Object.fromEntries(names.map((name) => [name, {}])) }), {
    collections: { 'team-a-1': {} },
  });
});
