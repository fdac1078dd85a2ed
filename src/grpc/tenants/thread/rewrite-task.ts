import type { Denial } from '../../../policy/denial.ts';
import type { ReleaseFeatures, Rewriting } from '../../../policy/tenants/rewriting.ts';
import type { Tenancy } from '../../../policy/tenants/tenancy.ts';
import { conditionsOn } from '../../../policy/tenants/within.ts';
import type { ScannedNames } from '../../message/found-names.ts';
import { inspectWhole } from '../../message/inspect.ts';
import { rowForNames } from '../../message/inspect-shapes.ts';
import { PREFIX_BYTES } from '../../message/message.ts';
import { resolveGrpc } from '../../resolve.ts';
import type { GrpcRequest, TenantContext } from '../context.ts';
import { rewriteMessage, rewriteNow, rewriteSoon } from '../rewrite.ts';

/** Up to this size, in bytes, a buffer may share its memory with others. */
export const POOLED_BYTES = 65_536;

/** The `idfVectors` of collections that are known without asking. */
export type KnownVectors = (collection: string) => ReadonlySet<string> | undefined;

/** A whole message of a tenant. Plain data: it may be worked on in another thread. */
export interface RewriteTask {
  /** `:path` of the call. */
  readonly path: string;
  readonly tenancy: Tenancy;
  readonly features: ReleaseFeatures;
  /** `unasked` = they are asked for only if the message needs them, and it is read again then. */
  readonly idfVectors: ReadonlySet<string> | 'unknown' | 'unasked';
  readonly refusesDotNames: boolean;
  /** Most bytes of the message that is made. */
  readonly mostBytes: number;
  /** The numbers of the message are wanted, too. */
  readonly facts: boolean;
}

/** The outcome for a message: what it names, and what it becomes. `tenant` is `undefined` if the names were refused. */
export interface RewriteFinding {
  /** `undefined` = the message cannot be read in one piece. */
  readonly names: ScannedNames | Denial | undefined;
  readonly tenant: Rewriting<GrpcRequest> | Denial | 'needs-facts' | undefined;
}

/**
 * Reads and rewrites a message. Pure; throws only on a fault of ours.
 *
 * @param framed with an uncompressed prefix @param known used where the task says `unasked`
 */
export function runRewriteTask(task: RewriteTask, framed: Buffer, known?: KnownVectors): RewriteFinding {
  const { names, tenant } = readTask(task, framed, known, rewriteMessage);
  return { names, tenant };
}

/** The same of a small message (`rewriteNow`). `undefined` = it is a task for the thread. */
export function runNow(task: RewriteTask, framed: Buffer, known: KnownVectors): RewriteFinding | undefined {
  return unlessLong(readTask(task, framed, known, rewriteNow));
}

/** The same as far as it takes little time (`rewriteSoon`). `undefined` = it is a task for the thread. */
export function runSoon(task: RewriteTask, framed: Buffer, known: KnownVectors): RewriteFinding | undefined {
  return unlessLong(readTask(task, framed, known, rewriteSoon));
}

function unlessLong({ names, tenant, isRead }: Read<RewriteFinding['tenant']>): RewriteFinding | undefined {
  return isRead && tenant === undefined ? undefined : { names, tenant };
}

type Rewrite<T> = (method: string, bytes: Buffer, context: TenantContext) => T;

interface Read<T> {
  readonly names: RewriteFinding['names'];
  readonly tenant: T | Denial | undefined;
  /** True = `tenant` came from the rewriting. */
  readonly isRead: boolean;
}

function readTask<T>(task: RewriteTask, framed: Buffer, known: KnownVectors | undefined, rewrite: Rewrite<T>): Read<T> {
  const { operation } = resolveGrpc(task.path);
  const names = inspectWhole(rowForNames(operation), undefined, framed, 0, framed.length, task);
  if (!names || 'kind' in names) return { names, tenant: undefined, isRead: false };
  const { tenancy, features, mostBytes } = task;
  const collection = names.target;
  const idfVectors = (task.idfVectors === 'unasked' && known?.(collection)) || task.idfVectors;
  const conditions = conditionsOn(tenancy, collection);
  if ('kind' in conditions) return { names, tenant: conditions, isRead: false };
  const context = { tenancy, collection, conditions, features, idfVectors, mostBytes };
  return { names, tenant: rewrite(operation.name, framed.subarray(PREFIX_BYTES), context), isRead: true };
}
