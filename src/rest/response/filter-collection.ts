import { objectOf } from '../../json/assemble.ts';
import type { JsonReader } from '../../json/reader.ts';
import { AnswerFault, copy, drop, type Source } from './filter-source.ts';

/** One entry of the telemetry's `collections.collections`. */
export interface CollectionEntry {
  /** The collection's name. */
  readonly id: string;
  readonly text: Buffer;
}

/** The entry as it stands. `undefined` = it has no name, so no access rule can apply. */
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

const NOTHING: Buffer = Buffer.alloc(0);
const OK: Buffer = Buffer.from('"ok"');

/** Sums over the local shards of one collection. */
interface Totals {
  vectors: bigint;
  status: Buffer;
}

/**
 * A level 3 entry made into the nameless one of level 1; `text` is empty where a part is missing. `undefined` = it has no
 * name, or not a listed one.
 *
 * Upstream: `vectors` is the sum over the local shards, `optimizers_status` the worst among them (Qdrant v1.18.3).
 */
export function readAggregate(source: Source, listed: (name: string) => boolean): CollectionEntry | undefined {
  const { reader } = source;
  if (reader.peek() !== 'object') return drop(source);
  const totals: Totals = { vectors: 0n, status: OK };
  let id: string | undefined;
  let params: Buffer | undefined;
  let complete = false;
  reader.readObject((key) => {
    const kind = reader.peek();
    if (key === 'id' && kind === 'string') {
      if (id !== undefined) throw new AnswerFault('upstream answer has `id` twice');
      id = reader.readString();
    } else if (id !== undefined && !listed(id)) {
      reader.skipValue(); // upstream writes the name first: nothing of a hidden collection need be added up
    } else if (key === 'config') {
      inMember(reader, 'params', () => {
        params = copy(source);
      });
    } else if (key === 'shards' && kind === 'array') {
      complete = true;
      reader.readArray(() => inMember(reader, 'local', () => readLocal(source, totals)));
    } else {
      reader.skipValue();
    }
  });
  if (id === undefined || !listed(id)) return undefined;
  if (params === undefined || !complete) return { id, text: NOTHING };
  return {
    id,
    text: objectOf([
      ['vectors', Buffer.from(String(totals.vectors))],
      ['optimizers_status', totals.status],
      ['params', params],
    ]),
  };
}

/** Reads one value; where it is an object, `read` takes the member `key`. */
function inMember(reader: JsonReader, key: string, read: () => void): void {
  if (reader.peek() !== 'object') {
    reader.skipValue();
    return;
  }
  reader.readObject((found) => {
    if (found === key) read();
    else reader.skipValue();
  });
}

/** The `local` part of a shard; null where the node holds no replica. */
function readLocal(source: Source, totals: Totals): void {
  const { reader } = source;
  if (reader.peek() !== 'object') {
    reader.skipValue();
    return;
  }
  let own: bigint | undefined;
  let inSegments = 0n;
  reader.readObject((key) => {
    if (key === 'num_vectors' && reader.peek() === 'number') {
      own = countOf(reader.readNumberText());
    } else if (key === 'segments' && reader.peek() === 'array') {
      inSegments = readSegments(reader);
    } else if (key === 'optimizations') {
      inMember(reader, 'status', () => {
        const status = copy(source);
        if (!status.equals(OK)) totals.status = status;
      });
    } else {
      reader.skipValue();
    }
  });
  totals.vectors += own ?? inSegments;
}

/** Upstream: old releases (Qdrant v1.8.4) count the vectors of each segment only. */
function readSegments(reader: JsonReader): bigint {
  let sum = 0n;
  reader.readArray(() =>
    inMember(reader, 'info', () =>
      inMember(reader, 'num_vectors', () => {
        if (reader.peek() === 'number') sum += countOf(reader.readNumberText());
        else reader.skipValue();
      }),
    ),
  );
  return sum;
}

function countOf(text: string): bigint {
  if (!/^\d{1,20}$/.test(text)) throw new AnswerFault('upstream answer has a count that is no count');
  return BigInt(text);
}
