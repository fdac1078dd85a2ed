import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { Choices } from './harness.ts';

const PHASES = ['head', 'after-head', 'mid-body', 'body', 'mid-answer', 'after-answer'] as const;
const SIZES = { none: 0, small: 1_024, medium: 200_000, large: 3_000_000 } as const;
const CODINGS = ['plain', 'gzip', 'zstd'] as const;
/** By `ACCESS` of the fixture; the others are refused. */
const CREDENTIALS = ['main', 'listA', 'writeA', 'wrong', 'none'] as const;
const WAYS = ['reset', 'end', 'destroy'] as const;
const OPERATIONS = ['list', 'get', 'query', 'upsert'] as const;
/** Of upstream's answer. `held` = once all clients that do not wait for an answer have left. */
const ANSWERS = ['now', 'held', 'large', 'early', 'cut'] as const;

/** A client of REST that leaves, and what it asks before. */
export interface Leaver {
  /** `http2` is plain where it has a length; `http2-server` never is. */
  readonly lane: 'relay' | 'fastify' | 'http2' | 'http2-server';
  readonly tls: boolean;
  readonly phase: (typeof PHASES)[number];
  readonly operation: (typeof OPERATIONS)[number];
  readonly size: keyof typeof SIZES;
  readonly coding: (typeof CODINGS)[number];
  readonly chunked: boolean;
  readonly credential: (typeof CREDENTIALS)[number];
  readonly way: (typeof WAYS)[number];
  readonly answer: (typeof ANSWERS)[number];
  /** Writes that the bytes are spread over. */
  readonly pieces: number;
  /** Turns of the event loop between the last byte and the end. */
  readonly turns: number;
}

export function makeLeaver(choices: Choices): Leaver {
  const operation = choices.of(OPERATIONS);
  const bodied = operation === 'query' || operation === 'upsert';
  return {
    lane: choices.weighted([
      [4, 'relay'],
      [4, 'fastify'],
      [3, 'http2'],
      [1, 'http2-server'],
    ]),
    tls: choices.chance(0.1),
    phase: choices.weighted([
      [1, 'head'],
      [2, 'after-head'],
      [4, 'mid-body'],
      [6, 'body'],
      [2, 'mid-answer'],
      [3, 'after-answer'],
    ]),
    operation,
    size: bodied
      ? choices.weighted([
          [12, 'small'],
          [6, 'medium'],
          [1, 'large'],
        ])
      : 'none',
    coding: choices.weighted([
      [4, 'plain'],
      [1, 'gzip'],
      [1, 'zstd'],
    ]),
    chunked: choices.chance(0.3),
    credential: choices.weighted([
      [3, 'main'],
      [5, 'listA'],
      [3, 'writeA'],
      [1, 'wrong'],
      [1, 'none'],
    ]),
    way: choices.of(WAYS),
    answer: choices.weighted([
      [5, 'now'],
      [3, 'held'],
      [1, 'large'],
      [1, 'early'],
      [1, 'cut'],
    ]),
    pieces: choices.between(1, 4),
    turns: choices.between(0, 3),
  };
}

const EMPTY = Buffer.alloc(0);

/** Bodies by size and coding, made once. */
const bodies = new Map<string, Buffer>();

/** The body of its request, as it is sent. */
export function bodyOf({ operation, size, coding }: Leaver): Buffer {
  const key = `${operation} ${size} ${coding}`;
  const known = bodies.get(key);
  if (known) return known;
  const bytes = SIZES[size];
  if (bytes === 0) return EMPTY;
  // Half of it is hard to compress.
  let state = 1;
  const noise = Array.from({ length: Math.ceil(bytes / 2) }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return String.fromCharCode(97 + ((state >>> 16) % 26));
  }).join('');
  const text = JSON.stringify(
    operation === 'query' ? { query: [1], lookup_from: { collection: 'a' }, noise } : { points: [], noise },
  ).padEnd(bytes);
  const plain = Buffer.from(text);
  const body = coding === 'gzip' ? gzipSync(plain) : coding === 'zstd' ? zstdCompressSync(plain) : plain;
  bodies.set(key, body);
  return body;
}

/** Method and path of its request. */
export function lineOf({ operation, answer }: Leaver, id: number): readonly [method: string, path: string] {
  const query = `?id=${id}&answer=${answer}`;
  if (operation === 'list') return ['GET', `/collections${query}`];
  if (operation === 'get') return ['GET', `/collections/a${query}`];
  return operation === 'query'
    ? ['POST', `/collections/a/points/query${query}`]
    : ['PUT', `/collections/a/points${query}`];
}

/** May its request reach upstream? */
export function mayPass({ credential, operation }: Leaver): boolean {
  if (credential === 'main' || credential === 'writeA') return true;
  return credential === 'listA' && operation !== 'upsert';
}
