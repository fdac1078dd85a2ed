import { objectOf } from '../json/assemble.ts';
import { AnswerFault, copy, drop, type Rules, readKnown, type Source } from './response-filter-source.ts';

/** One entry of the telemetry's `collections.collections`. */
export interface CollectionEntry {
  /** The collection's name. */
  readonly id: string;
  readonly text: Buffer;
}

/** The entry as it stands. `undefined` = it has no name, so that nobody can tell whose it is. */
export function readNamed(source: Source): CollectionEntry | undefined {
  const { reader, body } = source;
  if (reader.peek() !== 'object') return drop(source);
  const start = reader.position;
  let id: string | undefined;
  reader.readObject((key) => {
    if (key === 'id' && reader.peek() === 'string') {
      if (id !== undefined) throw new AnswerFault('upstream answer has `id` twice');
      id = reader.readString();
    } else {
      reader.skipValue();
    }
  });
  return id === undefined ? undefined : { id, text: body.subarray(start, reader.position) };
}

const NOTHING = Buffer.alloc(0);
const OK: Buffer = Buffer.from('"ok"');

/**
 * A level 3 entry made into the nameless one of level 1; `text` is empty where a part is missing.
 *
 * Upstream: `vectors` is the sum over the local shards, `optimizers_status` the worst among them (Qdrant v1.18.3).
 */
export function readAggregate(source: Source): CollectionEntry | undefined {
  const { reader } = source;
  if (reader.peek() !== 'object') return drop(source);
  let id: string | undefined;
  let vectors = 0n;
  let status: Buffer = OK;
  let params: Buffer | undefined;
  let complete = false;
  const local: Rules = new Map([
    [
      'num_vectors',
      () => {
        if (reader.peek() === 'number') vectors += integerOf(reader.readNumberText());
        else reader.skipValue();
        return undefined;
      },
    ],
    [
      'optimizations',
      () => {
        const found = new Map(readKnown(source, new Map([['status', copy]]))).get('status') ?? OK;
        if (!found.equals(OK)) status = found;
        return undefined;
      },
    ],
  ]);
  reader.readObject((key) => {
    const kind = reader.peek();
    if (key === 'id' && kind === 'string') {
      id = reader.readString();
    } else if (key === 'config' && kind === 'object') {
      params = new Map(readKnown(source, new Map([['params', copy]]))).get('params');
    } else if (key === 'shards' && kind === 'array') {
      complete = true;
      reader.readArray(() => readShard(source, local));
    } else {
      reader.skipValue();
    }
  });
  if (id === undefined) return undefined;
  if (params === undefined || !complete) return { id, text: NOTHING };
  return {
    id,
    text: objectOf([
      ['vectors', Buffer.from(String(vectors))],
      ['optimizers_status', status],
      ['params', params],
    ]),
  };
}

/** The `local` part of a shard; null where the node holds no replica. */
function readShard(source: Source, local: Rules): void {
  readKnown(
    source,
    new Map([
      [
        'local',
        (inner) => {
          if (inner.reader.peek() === 'object') readKnown(inner, local);
          else inner.reader.skipValue();
          return undefined;
        },
      ],
    ]),
  );
}

function integerOf(text: string): bigint {
  if (!/^\d{1,20}$/.test(text)) throw new AnswerFault('upstream answer has a count that is no count');
  return BigInt(text);
}
