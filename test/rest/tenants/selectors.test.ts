import t from 'tap';
import { FILTER, made, T } from './made.ts';

/* The points of a write: ids, a filter, both or neither, in every operation that selects points, alone and in a batch. */

/** The other members of each operation. */
const OPERATIONS: Readonly<Record<string, string>> = {
  delete: '',
  set_payload: '"payload":{"a":1},',
  overwrite_payload: '"payload":{"a":1},',
  delete_payload: '"keys":["a"],',
  clear_payload: '',
  delete_vectors: '"vector":["v"],',
};

const IDS = `"filter":{"must":[${T},{"has_id":[1]}]}`;
const NO_IDS = '"points":[]';
/** Upstream carries out both; the gateway refuses both. */
const BOTH_OF_VECTORS = 'expected either `points` or `filter`';

/** The selector, and what is sent of it; `undefined` = refused. `either` = `delete_vectors` refuses it, too. */
const SELECTORS: readonly [selector: string, sent: string | undefined, ofVectors?: 'either'][] = [
  ['"points":[1]', IDS],
  ['"points":[1],"filter":null', IDS],
  ['"filter":null,"points":[1]', IDS],
  ['"points":[1],"filter":{}', IDS, 'either'],
  ['"points":[]', NO_IDS],
  ['"points":[],"filter":null', NO_IDS],
  ['"points":[],"filter":{}', NO_IDS, 'either'],
  ['"filter":{}', FILTER],
  ['"filter":{"must":null}', FILTER],
  ['"filter":{"must":[]}', FILTER],
  ['"points":null,"filter":{}', FILTER],
  ['"shard_key":null', undefined],
  ['"points":null', undefined],
  ['"filter":null', undefined],
  ['"points":null,"filter":null', undefined],
  ['"filter":null,"points":null', undefined],
];

/** A member is not left over from the selector. */
const isSent = (body: string | undefined, sent: string): boolean =>
  body?.includes(sent) === true && body.split('"filter":').length + body.split('"points":').length === 3;

for (const [operation, others] of Object.entries(OPERATIONS)) {
  t.test(`${operation} writes what is selected, and nothing where nothing is`, async (t) => {
    for (const [selector, ofAll, ofVectors] of SELECTORS) {
      const isBoth = operation === 'delete_vectors' && ofVectors === 'either';
      const sent = isBoth ? undefined : ofAll;
      const why = isBoth ? BOTH_OF_VECTORS : 'Either list of point ids or filter must be provided';
      const one = `{${others}${selector}}`;
      for (const [name, body] of [
        [operation, one],
        ['batch', `{"operations":[{"${operation}":${one}}]}`],
      ] as const) {
        const result = made(`points.${name}`, body);
        if (sent === undefined) {
          t.match(result, /^400 tenant_form: /, `${name} ${selector}`);
          t.ok(String(result).includes(why), `${name} ${selector}: ${String(result)}`);
        } else {
          const made = typeof result === 'string' ? result : result.body;
          t.ok(isSent(made, sent), `${name} ${selector} is sent as ${made}`);
        }
      }
    }
  });
}
