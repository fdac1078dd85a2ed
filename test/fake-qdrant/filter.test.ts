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
  ['text finds words in any order', field('text', { match: { text: 'fox quick' } }), true],
  ['text misses a word', field('text', { match: { text: 'fox slow' } }), false],
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
  ['a radius holds the place', radius(1000), true],
  ['a radius is too small', radius(10), false],
];

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
