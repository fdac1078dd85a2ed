import t from 'tap';
import { passes } from '../support/fake-qdrant/filter.ts';
import type { Json, JsonObject } from '../support/fake-qdrant/json.ts';

const payload: JsonObject = {
  city: 'Berlin',
  tags: ['big', 'green'],
  rank: 3,
  big: 9007199254740993n,
  open: true,
  none: null,
  empty: [],
  nulls: [1, null],
  'a.b': 'dotted',
  text: 'The quick brown fox',
  at: '2024-05-01T00:00:00Z',
  place: { lat: 52.5, lon: 13.4, country: { code: 'DE' } },
  rooms: [
    { kind: 'bed', size: 10 },
    { kind: 'bath', size: 4 },
  ],
};
const point = { id: 7, version: 1, vectors: new Map([['', [1]]]), payload };
const field = (key: string, condition: JsonObject): JsonObject => ({ must: [{ key, ...condition }] });
const yes: Json = { key: 'city', match: { value: 'Berlin' } };
const no: Json = { key: 'city', match: { value: 'London' } };

const cases: [string, JsonObject, boolean][] = [
  ['no condition passes', {}, true],
  ['a keyword that is equal passes', { must: [yes] }, true],
  ['a keyword that differs fails', { must: [no] }, false],
  ['a single condition needs no list', { must: yes }, true],
  ['all of must have to hold', { must: [yes, no] }, false],
  ['one of should is enough', { should: [no, yes] }, true],
  ['none of should is not', { should: [no] }, false],
  ['must_not excludes', { must_not: [yes] }, false],
  ['must_not of what does not hold passes', { must_not: [no] }, true],
  ['min_should counts enough', { min_should: { conditions: [yes, no, yes], min_count: 2 } }, true],
  ['min_should counts too few', { min_should: { conditions: [yes, no, no], min_count: 2 } }, false],
  ['filters nest', { must: [{ should: [no, { must_not: [no] }] }] }, true],
  ['filters that fail nest', { must: [{ should: [no, { must_not: [yes] }] }] }, false],
  ['any element of an array may match', field('tags', { match: { value: 'green' } }), true],
  ['no element of an array matches', field('tags', { match: { value: 'red' } }), false],
  ['integers match', field('rank', { match: { value: 3 } }), true],
  ['integers beyond a double match exactly', field('big', { match: { value: 9007199254740993n } }), true],
  ['integers beyond a double differ exactly', field('big', { match: { value: 9007199254740995n } }), false],
  ['booleans match', field('open', { match: { value: true } }), true],
  ['any of a list matches', field('city', { match: { any: ['Paris', 'Berlin'] } }), true],
  ['none of a list matches', field('city', { match: { any: ['Paris'] } }), false],
  ['except lets others pass', field('city', { match: { except: ['Paris'] } }), true],
  ['except keeps those named out', field('city', { match: { except: ['Berlin'] } }), false],
  ['without an index a text is found as it is', field('text', { match: { text: 'quick brown' } }), true],
  ['without an index the order of words counts', field('text', { match: { text: 'fox quick' } }), false],
  ['one word of text_any is enough', field('text', { match: { text_any: 'slow fox' } }), true],
  ['no word of text_any is there', field('text', { match: { text_any: 'slow dog' } }), false],
  ['a range holds at its bounds', field('rank', { range: { gte: 3, lte: 3 } }), true],
  ['gt excludes its bound', field('rank', { range: { gt: 3 } }), false],
  ['lt excludes its bound', field('rank', { range: { lt: 3 } }), false],
  ['dates have ranges', field('at', { range: { gt: '2024-01-01T00:00:00Z' } }), true],
  ['later dates fail', field('at', { range: { gt: '2025-01-01T00:00:00Z' } }), false],
  ['values are counted', field('tags', { values_count: { gte: 2 } }), true],
  ['too few values fail', field('tags', { values_count: { gt: 2 } }), false],
  ['keys go into objects', field('place.country.code', { match: { value: 'DE' } }), true],
  ['keys go into arrays', field('rooms[].kind', { match: { value: 'bath' } }), true],
  ['keys go to one element', field('rooms[0].kind', { match: { value: 'bath' } }), false],
  ['arrays are not entered unasked', field('rooms.kind', { match: { value: 'bath' } }), false],
  ['nested holds for one element', nested('bed', 10), true],
  ['nested does not mix elements', nested('bath', 10), false],
  ['has_id names the point', { must: [{ has_id: [1, 7] }] }, true],
  ['has_id names another', { must: [{ has_id: [1] }] }, false],
  ['has_vector names the default vector', { must: [{ has_vector: '' }] }, true],
  ['has_vector names another', { must: [{ has_vector: 'image' }] }, false],
  ['an absent key is empty', { must: [{ is_empty: { key: 'absent' } }] }, true],
  ['an empty list is empty', { must: [{ is_empty: { key: 'empty' } }] }, true],
  ['a value is not empty', { must: [{ is_empty: { key: 'city' } }] }, false],
  ['null is null', { must: [{ is_null: { key: 'none' } }] }, true],
  ['absence is not null', { must: [{ is_null: { key: 'absent' } }] }, false],
  ['a list that holds null is not null as a condition', { must: [{ is_null: { key: 'nulls' } }] }, false],
  ['a list that holds null is null as a check', field('nulls', { is_null: true }), true],
  ['an integer is no text', field('rank', { match: { value: '3' } }), false],
  ['a text is no integer', field('city', { match: { any: [3] } }), false],
  ['a boolean is no integer', field('open', { match: { value: 1 } }), false],
  ['except lets other types pass', field('open', { match: { except: ['Berlin'] } }), true],
  ['except lets no null pass', field('none', { match: { except: ['Berlin'] } }), false],
  ['except asks for a value', field('absent', { match: { except: ['Berlin'] } }), false],
  ['except holds for one of several', field('tags', { match: { except: ['big'] } }), true],
  ['absence counts no values', field('absent', { values_count: { lte: 0 } }), true],
  ['null counts no values', field('none', { values_count: { lte: 0 } }), true],
  ['checks on one field are ORed', field('rank', { match: { value: 4 }, range: { gt: 2 } }), true],
  ['a count of values hides other checks', field('tags', { values_count: { gt: 2 }, match: { value: 'big' } }), false],
  [
    'a key makes a condition one on a field',
    { must: [{ ...field('rank', {}), key: 'city', match: { value: 'x' } }] },
    false,
  ],
  ['an empty condition holds', { must: [{}], should: [{}] }, true],
  ['empty lists are no constraint', { must: [], should: [], must_not: [] }, true],
  ['null for lists is no constraint', { must: null, should: null, must_not: null }, true],
  ['a filter below must with an empty should holds', { must: [{ should: [] }] }, true],
  ['an empty should below nested holds for nothing', elements({ should: [] }), false],
  ['an empty filter below nested holds', elements({}), true],
  ['nested looks at elements, not at an object', { must: [{ nested: { key: 'place', filter: {} } }] }, false],
  ['nested knows no ids', elements({ must: [{ has_id: [7] }] }), false],
  ['min_should asks for more than there are', { min_should: { conditions: [yes], min_count: 2 } }, false],
  ['quoted keys are one key', field('"a.b"', { match: { value: 'dotted' } }), true],
  ['dots go down', field('a.b', { match: { value: 'dotted' } }), false],
  ['a wildcard at the end opens a list', field('tags[]', { match: { value: 'green' } }), true],
  ['an index beyond the end finds nothing', field('tags[2]', { match: { value: 'green' } }), false],
  ['a radius holds the place', radius(1000), true],
  ['a radius is too small', radius(10), false],
];

function elements(filter: JsonObject): JsonObject {
  return { must: { nested: { key: 'rooms', filter } } };
}

function nested(kind: string, size: number): JsonObject {
  const filter = { must: [field('kind', { match: { value: kind } }), field('size', { match: { value: size } })] };
  return { must: [{ nested: { key: 'rooms', filter } }] };
}

function radius(metres: number): JsonObject {
  return field('place', { geo_radius: { center: { lat: 52.501, lon: 13.4 }, radius: metres } });
}

for (const [name, filter, expected] of cases) {
  t.equal(passes(point, filter), expected, name);
}

const refused: [string, JsonObject, string][] = [
  ['an unknown member', { musts: [] }, 'unknown field `musts`'],
  ['a field without a check', { must: [{ key: 'rank' }] }, 'At least one field condition must be specified'],
  ['a least count of none', { min_should: { conditions: [], min_count: 0 } }, 'min_count must be greater than 0'],
  ['a path with a blank', field('a b', { match: { value: 1 } }), "Invalid json path: 'a b'"],
  ['a path that ends in a dot', field('a.', { match: { value: 1 } }), "Invalid json path: 'a.'"],
  ['an empty path', field('', { match: { value: 1 } }), "Invalid json path: ''"],
];

for (const [name, filter, text] of refused) {
  t.throws(
    () => passes(point, filter),
    { message: new RegExp(text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')) },
    `${name} is refused`,
  );
}

const index = new Map<string, Json>([['text', { type: 'text' }]]);
t.equal(
  passes(point, field('text', { match: { text: 'fox QUICK' } }), index),
  true,
  'an index finds words in any order',
);
t.equal(passes(point, field('text', { match: { text: 'fox slow' } }), index), false, 'an index misses a word');
