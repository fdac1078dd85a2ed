import { readOnlyFields } from '../../../policy/tenants/kept-fields.ts';
import { MAX_PARTS } from '../../../policy/tenants/rewriting.ts';
import { type BatchOperation, rewriteOperation } from '../batch.ts';
import type { Checks, TenantContext } from '../context.ts';
import { badForm } from '../ids.ts';
import { decode, encode } from '../messages/codec.ts';
import { type Point, type Write, Writes } from '../write-requests.ts';
import { bytesField, Edits } from './edits.ts';
import { Fields } from './fields.ts';
import { type OwnBytes, pointFields } from './own.ts';
import { idOfPoint, PointSplice } from './points.ts';
import { numberOf } from './shapes.ts';

/*
 * Upserts and batches without decoding them as a whole: one point and one operation after the other, so that many small ones take no
 * more memory than their bytes. Of a point only what `PointSplice` does not take is decoded. What is made is equal to what decoding
 * gives. INVARIANT: the form of the bytes has been checked.
 */

type UpsertType = 'UpsertPoints' | 'BatchUpsert';

const POINTS: Readonly<Record<UpsertType, number>> = {
  UpsertPoints: numberOf('UpsertPoints', 'points'),
  BatchUpsert: numberOf('BatchUpsert', 'points'),
};
const OPERATIONS = numberOf('UpdateBatchPoints', 'operations');
const UPSERT = numberOf('BatchOperation', 'upsert');
const NOTHING = Buffer.alloc(0);

/** An upsert, made anew. Throws a refusal as decoding does. */
export function upsertBytes(bytes: Buffer, context: TenantContext, checks: Checks): Buffer {
  return new WritesInBytes(context, new Writes(context, checks, false)).upsert('UpsertPoints', bytes);
}

/** The same of a batch of changes. */
export function batchBytes(bytes: Buffer, context: TenantContext, checks: Checks): Buffer {
  const { wait } = decode<{ readonly wait?: boolean }>('UpdateBatchPoints', without(OPERATIONS, bytes));
  const writes = new WritesInBytes(context, new Writes(context, checks, wait === true));
  if (countOf(OPERATIONS, bytes) > MAX_PARTS) throw badForm('operations', `are more than ${MAX_PARTS}`);
  const edits = new Edits(context.mostBytes);
  const fields = new Fields().begin(bytes, 0, bytes.length);
  while (fields.next()) {
    if (fields.number !== OPERATIONS) continue;
    edits.replace(fields.start, fields.to, bytesField(OPERATIONS, writes.operation(within(fields))));
  }
  return edits.applied(bytes);
}

class WritesInBytes {
  readonly #writes: Writes;
  /** `undefined` = each point is decoded. */
  readonly #own: readonly OwnBytes[] | undefined;
  readonly #looked: readonly Buffer[];
  readonly #most: number;

  constructor({ conditions, mostBytes }: TenantContext, writes: Writes) {
    this.#writes = writes;
    this.#most = mostBytes;
    this.#own = pointFields(conditions);
    this.#looked = readOnlyFields(conditions).map(([first = '']) => Buffer.from(first, 'utf8'));
  }

  operation(bytes: Buffer): Buffer {
    const fields = new Fields().begin(bytes, 0, bytes.length);
    if (fields.next() && fields.number === UPSERT) {
      return bytesField(UPSERT, this.upsert('BatchUpsert', within(fields)));
    }
    const operation = decode<BatchOperation>('BatchOperation', bytes);
    rewriteOperation(this.#writes, operation);
    return encode('BatchOperation', operation);
  }

  upsert(type: UpsertType, bytes: Buffer): Buffer {
    this.#writes.needsUpdateFilter();
    const number = POINTS[type];
    const write = decode<Write>(type, without(number, bytes));
    const notes = this.#writes.notes(write);
    const edits = new Edits(this.#most);
    const points = new PointSplice(edits);
    const fields = new Fields().begin(bytes, 0, bytes.length);
    let index = 0;
    while (fields.next()) {
      if (fields.number !== number) edits.replace(fields.start, fields.to, NOTHING);
      else {
        const known = this.#own && points.take(fields, this.#own, this.#looked);
        if (known && notes) this.#writes.noteWritten(idOfPoint(fields));
        if (!known) edits.replace(fields.start, fields.to, this.#decoded(fields, index, notes));
        index += 1;
      }
    }
    this.#writes.bindUpsert(write);
    edits.replace(bytes.length, bytes.length, encode(type, write));
    return edits.applied(bytes);
  }

  /** A point that is decoded, as a field. */
  #decoded(fields: Fields, index: number, notes: boolean): Buffer {
    const point = decode<Point>('PointStruct', within(fields));
    const id = this.#writes.ownPoint(point, index);
    if (notes) this.#writes.noteWritten(id);
    return bytesField(fields.number, encode('PointStruct', point));
  }
}

/** The times that a message has a field. */
function countOf(number: number, bytes: Buffer): number {
  const fields = new Fields().begin(bytes, 0, bytes.length);
  let count = 0;
  while (fields.next()) if (fields.number === number) count += 1;
  return count;
}

/** A message without a field. */
function without(number: number, bytes: Buffer): Buffer {
  const fields = new Fields().begin(bytes, 0, bytes.length);
  const kept: Buffer[] = [];
  while (fields.next()) if (fields.number !== number) kept.push(bytes.subarray(fields.start, fields.to));
  return Buffer.concat(kept);
}

function within({ bytes, from, to }: Fields): Buffer {
  return bytes.subarray(from, to);
}
