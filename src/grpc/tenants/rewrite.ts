import { DEFAULT_MAX_FRAME_SIZE } from '../../http2/frames.ts';
import { type Denial, tenantOperation, tooLarge } from '../../policy/denial.ts';
import { TenantRefusal } from '../../policy/tenants/refusal.ts';
import { type IdCheck, MAX_PARTS, type Rewriting } from '../../policy/tenants/rewriting.ts';
import { PREFIX_BYTES } from '../message/message.ts';
import { type BatchOperation, rewriteOperation } from './batch.ts';
import {
  Checks,
  FRAME_ROOM,
  type GrpcRequest,
  MadeTooLong,
  NeedsFacts,
  type Rewritten,
  type TenantContext,
} from './context.ts';
import { badForm, formDenial } from './ids.ts';
import { decode, encode, FIELDS, make } from './messages/codec.ts';
import { FormCheck } from './messages/form.ts';
import { retrieve, Searches } from './read-requests.ts';
import { spliced } from './splice/splice.ts';
import { batchBytes, upsertBytes } from './splice/writes.ts';
import { type Write, Writes } from './write-requests.ts';

const forms = new FormCheck(FIELDS);

/** A decoded request: the fields that decide how it is rewritten. */
interface Request extends Write {
  readonly wait?: boolean;
  readonly searchPoints?: readonly object[];
  readonly recommendPoints?: readonly object[];
  readonly discoverPoints?: readonly object[];
  readonly queryPoints?: readonly object[];
  readonly operations?: readonly BatchOperation[];
  readonly ordering?: Uint8Array;
  readonly timeout?: bigint;
}

/** @param length of the client's message */
type Rewriter = (request: Request, context: TenantContext, checks: Checks, length: number) => Rewritten;

interface Method {
  readonly type: string;
  readonly rewrite: Rewriter;
}

/** The methods that are rewritten, by name. */
const METHODS: Readonly<Record<string, Method>> = {
  'qdrant.Points/Search': searching('SearchPoints', (request) => [request]),
  'qdrant.Points/SearchBatch': searching('SearchBatchPoints', ({ searchPoints = [] }) => searchPoints),
  'qdrant.Points/SearchGroups': searching('SearchPointGroups', (request) => [request]),
  'qdrant.Points/Recommend': searching('RecommendPoints', (request) => [request]),
  'qdrant.Points/RecommendBatch': searching('RecommendBatchPoints', ({ recommendPoints = [] }) => recommendPoints),
  'qdrant.Points/RecommendGroups': searching('RecommendPointGroups', (request) => [request]),
  'qdrant.Points/Discover': searching('DiscoverPoints', (request) => [request]),
  'qdrant.Points/DiscoverBatch': searching('DiscoverBatchPoints', ({ discoverPoints = [] }) => discoverPoints),
  'qdrant.Points/Query': searching('QueryPoints', (request) => [request]),
  'qdrant.Points/QueryBatch': searching('QueryBatchPoints', ({ queryPoints = [] }) => queryPoints),
  'qdrant.Points/QueryGroups': searching('QueryPointGroups', (request) => [request]),
  'qdrant.Points/Scroll': filtered('ScrollPoints', false),
  'qdrant.Points/Count': filtered('CountPoints', true),
  'qdrant.Points/Facet': filtered('FacetCounts', true),
  'qdrant.Points/SearchMatrixPairs': filtered('SearchMatrixPoints', false),
  'qdrant.Points/SearchMatrixOffsets': filtered('SearchMatrixPoints', false),
  'qdrant.Points/Get': { type: 'GetPoints', rewrite: retrieve },
  'qdrant.Points/Upsert': writing('UpsertPoints', (writes, request) => writes.upsert(request)),
  'qdrant.Points/UpdateVectors': writing('UpdatePointVectors', (writes, request) => writes.updateVectors(request)),
  'qdrant.Points/Delete': writing('DeletePoints', (writes, request) => writes.deletePoints(request)),
  'qdrant.Points/DeleteVectors': writing('DeletePointVectors', (writes, request) => writes.deleteVectors(request)),
  'qdrant.Points/SetPayload': writing('SetPayloadPoints', (writes, request) => writes.setPayload(request)),
  'qdrant.Points/OverwritePayload': writing('SetPayloadPoints', (writes, request) => writes.overwritePayload(request)),
  'qdrant.Points/DeletePayload': writing('DeletePayloadPoints', (writes, request) => writes.deletePayload(request)),
  'qdrant.Points/ClearPayload': { type: 'ClearPayloadPoints', rewrite: clearing },
  'qdrant.Points/UpdateBatch': writing('UpdateBatchPoints', (writes, { operations = [] }) => {
    if (operations.length > MAX_PARTS) throw badForm('operations', `are more than ${MAX_PARTS}`);
    for (const operation of operations) rewriteOperation(writes, operation);
  }),
  'qdrant.Collections/Get': { type: 'CollectionInfoRequest', rewrite: informing },
};

/** Methods with many points or operations in a message, which is not decoded as a whole. */
const IN_BYTES: Readonly<Record<string, (bytes: Buffer, context: TenantContext, checks: Checks) => Buffer>> = {
  'qdrant.Points/Upsert': upsertBytes,
  'qdrant.Points/UpdateBatch': batchBytes,
};

/** The names of all methods that can be rewritten. */
export const REWRITTEN_METHODS: readonly string[] = Object.keys(METHODS);

/** The type of the request of a method that can be rewritten. */
export function requestTypeOf(method: string): string | undefined {
  return METHODS[method]?.type;
}

function searching(type: string, levels: (request: Request) => readonly object[]): Method {
  return {
    type,
    rewrite: (request, context, checks, length) =>
      new Searches(context, checks, length).rewrite(type, request, levels(request)),
  };
}

function filtered(type: string, exact: boolean): Method {
  return {
    type,
    rewrite: (request, context, checks, length) => new Searches(context, checks, length).filtered(type, request, exact),
  };
}

function writing(type: string, write: (writes: Writes, request: Request) => void): Method {
  return {
    type,
    rewrite(request, context, checks) {
      // A free collection is written as asked.
      if (context.conditions.length > 0) write(new Writes(context, checks, request.wait === true), request);
      return { type, message: request };
    },
  };
}

function clearing(request: Request, context: TenantContext, checks: Checks): Rewritten {
  if (context.conditions.length === 0) return { type: 'ClearPayloadPoints', message: request };
  const { wait, ordering, timeout } = request;
  const cleared = new Writes(context, checks, wait === true).clearPayload(request);
  const message = make('SetPayloadPoints', {
    ...{ collectionName: context.collection, wait, ordering, timeout, ...cleared },
  });
  return { type: 'SetPayloadPoints', message, method: '/qdrant.Points/OverwritePayload' };
}

function informing(request: Request, { collection, conditions }: TenantContext): Rewritten {
  if (conditions.length === 0) return { type: 'CollectionInfoRequest', message: request };
  return { type: 'CollectionInfoRequest', message: request, answer: { kind: 'collection', collection, conditions } };
}

type Outcome = Rewriting<GrpcRequest> | Denial | 'needs-facts';

/**
 * Makes the message of a call anew for a tenant. Pure; throws only on a fault of ours. `needs-facts` = to be called again with
 * `idfVectors`.
 *
 * @param method name of the row @param bytes the message without prefix, decompressed
 */
export function rewriteMessage(method: string, bytes: Buffer, context: TenantContext): Outcome {
  return orTooLong(context, () => rewritten(method, bytes, context));
}

/** The same of a small message, as far as it takes little time. `undefined` = what is made is long, or many parts are to be decoded. */
export function rewriteNow(method: string, bytes: Buffer, context: TenantContext): Outcome | undefined {
  return ifShort(context, (short) => rewritten(method, bytes, short, isFew));
}

/**
 * The same as far as it takes little time for the size of the message, about a millisecond for 64 KiB. `undefined` = it takes more.
 */
export function rewriteSoon(method: string, bytes: Buffer, context: TenantContext): Outcome | undefined {
  const known = METHODS[method];
  if (!known) return tenantOperation(method);
  const fault = forms.faultOf(known.type, bytes);
  if (fault) return formDenial(fault.place, fault.what);
  if (forms.parts > MOST_PARTS_SOON) return undefined;
  return ifShort(context, (short) => splicedRewriting(known.type, method, bytes, short));
}

/** Messages in one: an upsert of 100 points has about a thousand. */
const MOST_PARTS_SOON = 4096;

/** The same in a message that is decoded: some two milliseconds. */
const MOST_PARTS_DECODED = 2048;
const isFew = (): boolean => forms.parts <= MOST_PARTS_DECODED;

/** Most bytes that are made on the event loop: each part of a message is sent with the conditions, whatever their length. */
const MOST_BYTES_NOW = 524_288;

function ifShort<T>(context: TenantContext, rewrite: (short: TenantContext) => T): T | Denial | undefined {
  const { mostBytes } = context;
  if (mostBytes <= MOST_BYTES_NOW) return orTooLong(context, () => rewrite(context));
  try {
    return rewrite({ ...context, mostBytes: MOST_BYTES_NOW });
  } catch (error) {
    if (error instanceof MadeTooLong) return undefined;
    throw error;
  }
}

function orTooLong<T>({ mostBytes }: TenantContext, rewrite: () => T): T | Denial {
  try {
    return rewrite();
  } catch (error) {
    if (!(error instanceof MadeTooLong)) throw error;
    return tooLarge(`the request is made longer than ${mostBytes} bytes for its tenant`);
  }
}

function rewritten(method: string, bytes: Buffer, context: TenantContext): Outcome;
function rewritten(method: string, bytes: Buffer, context: TenantContext, fits: () => boolean): Outcome | undefined;
/** Throws `MadeTooLong`. @param fits asked before the message is decoded; `undefined` = it does not fit */
function rewritten(method: string, bytes: Buffer, context: TenantContext, fits?: () => boolean): Outcome | undefined {
  const known = METHODS[method];
  if (!known) return tenantOperation(method);
  const fault = forms.faultOf(known.type, bytes);
  if (fault) return formDenial(fault.place, fault.what);
  const made = splicedRewriting(known.type, method, bytes, context);
  if (made) return made;
  if (fits && !fits()) return undefined;
  const rewrite = IN_BYTES[method];
  return rewrite ? rewriteBytes(rewrite, method, bytes, context) : decoded(known, method, bytes, context);
}

function rewriteBytes(
  rewrite: NonNullable<(typeof IN_BYTES)[string]>,
  method: string,
  bytes: Buffer,
  context: TenantContext,
): Outcome {
  const checks = new Checks();
  return orRefusal(() => {
    // A free collection is written as asked. A copy: the bytes are used for other things afterwards.
    const message = context.conditions.length === 0 ? Buffer.from(bytes) : rewrite(bytes, context, checks);
    const request = { path: `/${method}`, message };
    return { request, checks: checks.all, answer: undefined, byIdAlone: checks.allByIdAlone };
  });
}

function orRefusal(rewrite: () => Rewriting<GrpcRequest>): Outcome {
  try {
    return rewrite();
  } catch (error) {
    if (error instanceof TenantRefusal) return error.denial;
    if (error instanceof NeedsFacts) return 'needs-facts';
    throw error;
  }
}

function splicedRewriting(
  type: string,
  method: string,
  bytes: Buffer,
  context: TenantContext,
): Rewriting<GrpcRequest> | undefined {
  const room = bytes.length < ROOMY_BYTES ? FRAME_ROOM : 0;
  const made = spliced(type, bytes, context, room);
  if (!made) return undefined;
  const { message, whole, byIdAlone } = made;
  const isRoomy = room > 0 && message.length < ROOMY_BYTES;
  const request = isRoomy ? { path: `/${method}`, message, roomy: whole } : { path: `/${method}`, message };
  return { request, checks: NO_CHECKS, answer: undefined, byIdAlone };
}

/** A message below this size will mostly fit into one frame. INVARIANT: it is not made on a thread, from which one memory would come twice. */
const ROOMY_BYTES = DEFAULT_MAX_FRAME_SIZE - PREFIX_BYTES;
const NO_CHECKS: readonly IdCheck[] = Object.freeze([]);

/** The same by decoding, for a message whose form has been checked. What is put into bytes must be equal to it. */
export function rewriteDecoded(method: string, bytes: Buffer, context: TenantContext): Outcome {
  const known = METHODS[method];
  if (!known) return tenantOperation(method);
  return orTooLong(context, () => decoded(known, method, bytes, context));
}

function decoded({ type: asked, rewrite }: Method, method: string, bytes: Buffer, context: TenantContext): Outcome {
  const checks = new Checks();
  return orRefusal(() => {
    const request = decode<Request>(asked, bytes);
    const {
      type,
      message: made,
      method: path = `/${method}`,
      answer,
    } = rewrite(request, context, checks, bytes.length);
    const message = encode(type, made);
    // The bytes that grow with each part have been counted before.
    if (message.length > context.mostBytes) throw new MadeTooLong();
    return { ...{ request: { path, message }, checks: checks.all, answer }, byIdAlone: checks.allByIdAlone };
  });
}
