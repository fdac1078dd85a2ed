import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { keep, text } from '../../../src/rest/tenants/shapes.ts';
import { oneOf } from '../../../src/rest/tenants/variants.ts';
import { runs } from '../../support/generators/runs.ts';
import { queryInterface } from '../../support/tenants/upstream/query-types.ts';
import { REQUESTS } from '../../support/tenants/upstream/request-types.ts';
import { isObject, type Json } from '../../support/tenants/upstream/serde.ts';
import { formBody } from './form-bodies.ts';
import { condition, made, T, tenancyOf } from './made.ts';

/*
 * Objects that upstream reads as one of several forms. What is sent has the members of one form and no others, so upstream reads
 * the form that was judged: the model of upstream's types says which one that is, and what it passes over.
 */

const TENANCY = tenancyOf(condition({ hiddenFields: [['cost']] }));
const FORM = '400 tenant_form';
const READS = '403 tenant_field';
const SENT = 'sent';

const said = (operation: string, body: string): string => {
  const result = made(operation, body, { tenancy: TENANCY });
  return typeof result === 'string' ? result.slice(0, result.indexOf(':')) : SENT;
};

const TABLE: readonly (readonly [sentence: string, operation: string, body: string, verdict: string])[] = [
  ['a document', 'query', '{"query":{"text":"x","model":"m"},"using":"cost"}', SENT],
  ['a document with options', 'query', '{"query":{"model":"m","options":{"k":1},"text":"x"},"using":"cost"}', SENT],
  ['a document with null options', 'query', '{"query":{"text":"x","model":"m","options":null},"using":"cost"}', SENT],
  ['a query of texts', 'query', '{"query":{"text":"x"},"using":"note"}', SENT],
  ['a query of texts by a hidden field', 'query', '{"query":{"text":"x"},"using":"cost"}', READS],
  ['the same with a null model', 'query', '{"query":{"text":"x","model":null},"using":"cost"}', FORM],
  ['the same with a number as model', 'query', '{"query":{"text":"x","model":5},"using":"cost"}', FORM],
  [
    'an input of a text query with a model',
    'query',
    '{"query":{"text":{"query":"x"},"model":"m"},"using":"cost"}',
    FORM,
  ],
  ['the model before the input', 'query', '{"query":{"model":"m","text":{"query":"x"}},"using":"cost"}', FORM],
  ['options that are no object', 'query', '{"query":{"text":"x","model":"m","options":5},"using":"cost"}', FORM],
  ['options that are a list', 'query', '{"query":{"text":"x","model":"m","options":[]},"using":"cost"}', FORM],
  ['options without a model', 'query', '{"query":{"text":"x","options":{}},"using":"cost"}', FORM],
  ['a null text', 'query', '{"query":{"text":null,"model":"m"},"using":"cost"}', FORM],
  ['a null model in a prefetch', 'query', '{"prefetch":{"query":{"text":"x","model":null},"using":"cost"}}', FORM],
  ['a null model in a batch', 'query_batch', '{"searches":[{"query":{"text":"x","model":null},"using":"cost"}]}', FORM],
  ['a null model in groups', 'query_groups', '{"query":{"text":"x","model":null},"using":"cost","group_by":"a"}', FORM],
  ['a text of a document that is an object', 'query', '{"query":{"nearest":{"text":{"query":"x"},"model":"m"}}}', FORM],
  ['a query of texts without a field', 'query', '{"query":{"text":"x"}}', FORM],
  ['a query of texts by what is no path', 'query', '{"query":{"text":"x"},"using":"a b"}', FORM],
  ['a query of texts with another member', 'query', '{"query":{"text":"x","image":"y"},"using":"note"}', FORM],
  ['an image with a null model', 'query', '{"query":{"image":"x","model":null}}', FORM],
  ['a sparse vector without values', 'query', '{"query":{"indices":[1]},"using":"sparse"}', FORM],
  ['two queries in one', 'query', '{"query":{"nearest":[1],"order_by":"note"}}', FORM],
  ['a null query', 'query', '{"query":null}', SENT],
  ['two matches in one', 'scroll', '{"filter":{"must":{"key":"a","match":{"value":1,"any":[1]}}}}', FORM],
  ['two conditions in one', 'scroll', '{"filter":{"must":{"is_null":{"key":"a"},"has_id":[1]}}}', FORM],
  ['a key beside a path that is empty', 'scroll', '{"filter":{"must":{"key":"a","is_empty":{"key":"b"}}}}', FORM],
  ['a key that is empty', 'scroll', '{"filter":{"must":{"key":"a","is_empty":true}}}', SENT],
  ['two expressions in one', 'query', '{"query":{"formula":{"neg":1,"abs":1}}}', FORM],
  ['an expression beside a condition', 'query', '{"query":{"formula":{"neg":1,"key":"a","match":{"value":1}}}}', FORM],
  ['two operations in one', 'batch', '{"operations":[{"delete":{"points":[1]},"upsert":{"points":[]}}]}', FORM],
  ['two forms of an upsert', 'upsert', '{"points":[],"batch":{"ids":[],"vectors":[]}}', FORM],
];

t.test('an object of several forms', async (t) => {
  for (const [sentence, operation, body, verdict] of TABLE)
    t.equal(said(`points.${operation}`, body), verdict, sentence);
});

t.test('a table of forms that could be taken for each other is a fault', async (t) => {
  const a = { required: ['a'], fields: { a: keep, b: keep } };
  const b = { required: ['b'], fields: { b: keep } };
  t.throws(() => oneOf([a, b], 'a thing'), /a thing: the form of a could be that of b/);
  t.throws(() => oneOf([b, a], 'a thing'), /the form of a could be that of b/, 'in any order');
  t.throws(() => oneOf([a, { required: ['c'], fields: { c: keep, b: text } }], 'a thing'), /read `b` by different/);
  t.doesNotThrow(() => oneOf([{ ...a, isSure: () => true }, b], 'a thing'), 'told apart by the values');
  t.doesNotThrow(() => oneOf([a, { ...b, isExact: true }], 'a thing'), 'one that takes no other member');
  t.throws(
    () => oneOf([a, { required: [], fields: { c: keep } }], 'a thing'),
    /could be that of/,
    'one without a member',
  );
});

const CONDITION: unknown = JSON.parse(T);
const isBound = (filter: Json | undefined): boolean =>
  isObject(filter) && Array.isArray(filter.must) && filter.must.some((one) => isDeepStrictEqual(one, CONDITION));
const isHidden = (name: string): boolean => /^cost(?:$|[.[])/.test(name);

/** The faults of the queries of texts in a level and its prefetches. */
function textFaults(level: Json | undefined): string[] {
  if (!isObject(level)) return [];
  const { prefetch, query = null, using, params } = level;
  const inner = (Array.isArray(prefetch) ? prefetch : [prefetch]).flatMap(textFaults);
  if (!queryInterface(query)?.some(({ kind, name }) => kind === 'form' && name === 'Query.Text')) return inner;
  const idf = isObject(params) ? params.idf : undefined;
  return [
    ...inner,
    ...(isObject(idf) && isBound(idf.corpus) ? [] : ['texts are scored by the points of all tenants']),
    ...(typeof using === 'string' && isHidden(using) ? ['texts of a hidden field are scored'] : []),
  ];
}

/** Why what is sent is read by upstream in another way than it was judged. */
function faultsOf(operation: string, sent: Json, checks: readonly string[]): string[] {
  const facts = REQUESTS[operation]?.(sent);
  // Upstream refuses it.
  if (!facts) return [];
  const checked = new Set(checks.flatMap((check) => check.split(/:? /)));
  return [
    ...facts.flatMap(({ kind, name }) => {
      if (kind === 'over') return [`\`${name}\` is passed over`];
      // A list of two lists of numbers may be a sparse vector: it is a vector in any case.
      if (kind === 'array' && name !== 'indices') return [`the struct of \`${name}\` is an array`];
      if (kind === 'field' && isHidden(name)) return [`\`${name}\` is read`];
      return kind === 'id' && !checked.has(name) ? [`the point ${name} is not checked`] : [];
    }),
    ...textFaults(sent),
  ];
}

/** True = upstream reads it whole, in the usual form, and nothing in it is hidden. */
function isPlain(operation: string, given: Json): boolean {
  const facts = REQUESTS[operation]?.(given);
  if (!facts || (isObject(given) && typeof given.using === 'string' && isHidden(given.using))) return false;
  return facts.every(({ kind, name }) => kind === 'form' || kind === 'id' || (kind === 'field' && !isHidden(name)));
}

/** Refusals of what a tenant may not do, whatever the form. */
const BY_RULE = /tenant_(?:field|lookup|operation|value)|collection_not_listed|Either list|must name a payload field/;

t.test('upstream reads what is sent as it was judged, with nothing left over', async (t) => {
  const RUNS = runs(40_000);
  let [sent, refused, plain] = [0, 0, 0];
  await fc.assert(
    fc.property(formBody, ([operation, given]) => {
      const result = made(operation, given, { tenancy: TENANCY });
      const isUsual = isPlain(operation, JSON.parse(given) as Json);
      if (isUsual) plain += 1;
      if (typeof result === 'string') {
        refused += 1;
        if (isUsual && !BY_RULE.test(result)) throw new Error(`${operation} ${given} is refused: ${result}`);
        return;
      }
      sent += 1;
      const faults = faultsOf(operation, JSON.parse(result.body ?? 'null') as Json, result.checks);
      if (faults.length > 0) throw new Error(`${operation} ${given}: ${faults.join(', ')}: ${result.body}`);
    }),
    { numRuns: RUNS },
  );
  t.comment(`${sent} sent, ${refused} refused, ${plain} of the usual forms`);
  t.ok(sent > RUNS / 10 && refused > RUNS / 10 && plain > RUNS / 20, `${sent}, ${refused}, ${plain}`);
});
