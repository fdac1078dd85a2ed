import { nestsWithin } from '../../json/depth.ts';
import { JsonFault } from '../../json/fault.ts';
import { JsonReader } from '../../json/reader.ts';
import { type BodyNeeds, needsOnly } from '../../policy/body-checks.ts';
import type { Conditional, Permit, References } from '../../policy/decide.ts';
import { badRequest, type Denial, INTERNAL_FAULT, URL_RECOVERY_DISABLED } from '../../policy/denial.ts';
import type { InspectorName, ManagedInspectorName } from '../../policy/operation.ts';
import type { Rewriting } from '../../policy/tenants/rewriting.ts';
import type { TenantRequest } from '../tenants/request.ts';
import { rewriteRequest, rewriteSoon, type TenantTask } from '../tenants/rewrite.ts';
import { refuseDotNames } from './dot-names.ts';
import { readFacts } from './facts/read.ts';
import { canNameNothing, type InspectionLimits, inspectBody, isManaged } from './inspect.ts';

/** Checks that a task can hold. */
const CHECKS: ReadonlySet<string> = new Set<keyof BodyNeeds>([
  ...(['names', 'depth', 'location', 'dotNames', 'facts', 'tenant', 'whole'] as const),
]);

/** The checks of one whole, decoded body. Plain data: they may run in another thread. */
export interface BodyTask {
  readonly kind: 'body';
  /** Finds the other collections it names; measures its nesting, too. */
  readonly names: InspectorName | ManagedInspectorName | undefined;
  /** Measures its nesting. */
  readonly depth: boolean;
  /** Refuses a snapshot location that is a URL. */
  readonly location: boolean;
  /** Refuses `.` and `..` as a name. */
  readonly dotNames: boolean;
  /** The row by which its numbers are read; measures its nesting, too. `undefined` = they are not. */
  readonly facts: string | undefined;
  /** Makes the request anew for a tenant. */
  readonly tenant?: TenantTask | undefined;
  readonly limits: InspectionLimits;
}

/**
 * The task for these needs. `undefined` = one of them is not known here, or the operation has no inspector: to be denied.
 *
 * @param tenant for needs that have `tenant`
 */
export function bodyTask(
  { operation }: Permit | Conditional,
  needs: BodyNeeds,
  limits: InspectionLimits,
  tenant?: TenantTask,
): BodyTask | undefined {
  const { names, depth, location, dotNames, facts } = needs;
  const inspector = names && (operation.inspect ?? operation.manages?.inspect);
  if (!needsOnly(needs, CHECKS) || (names && !inspector) || (needs.tenant && !tenant)) return undefined;
  return {
    ...{ kind: 'body', names: inspector, depth: depth === true, location: location === true },
    ...{ dotNames: dotNames === true, facts: facts && operation.name, tenant, limits },
  };
}

/** The result: names, a refusal, or nothing against it. */
export type Found = References | Denial | undefined;

/** The same, and the request that was made anew for a tenant. */
export interface TenantFound {
  readonly kind: 'tenant';
  readonly names: References | undefined;
  readonly tenant: Rewriting<TenantRequest> | Denial;
}

export type BodyFinding = Found | TenantFound;

/** True = the request was made anew for a tenant. */
export function isTenantFound(found: BodyFinding): found is TenantFound {
  return found !== undefined && 'kind' in found && found.kind === 'tenant';
}

/** Ours. Upstream would not bear it. */
export const TOO_DEEP = badRequest('nesting', 'the body nests too deeply');

/** Different collections that one body may name. */
const MAX_NAMES = 10_000;
const TOO_MANY_NAMES = badRequest('too_many_names', `the body names more than ${MAX_NAMES} collections`);
const NOTHING_NAMED: References = Object.freeze({ others: Object.freeze([]) });

/** Pure. All checks run; the first refusal in upstream's order counts. May throw on a fault of ours. */
export function runBodyTask(task: BodyTask, body: Buffer): BodyFinding {
  const found = withFacts(task, body);
  if (!task.tenant || (found && 'kind' in found)) return found;
  return { kind: 'tenant', names: found, tenant: rewriteRequest(task.tenant, body) };
}

/** The same as far as it takes little time; else it is a task for a thread. */
export function runBodyTaskSoon(task: BodyTask, body: Buffer): BodyFinding | 'takes-longer' {
  const found = withFacts(task, body);
  if (!task.tenant || (found && 'kind' in found)) return found;
  const tenant = rewriteSoon(task.tenant, body);
  return tenant ? { kind: 'tenant', names: found, tenant } : 'takes-longer';
}

function withFacts(task: BodyTask, body: Buffer): Found {
  const found = runChecks(task, body);
  if (task.facts === undefined || (found && 'kind' in found)) return found;
  const facts = readFacts(task.facts, body, task.limits) ?? INTERNAL_FAULT;
  return 'kind' in facts ? facts : { ...(found ?? NOTHING_NAMED), facts };
}

function runChecks({ names, depth, location, dotNames, limits }: BodyTask, body: Buffer): Found {
  const refused = (location ? checkLocation(body) : undefined) ?? (dotNames ? refuseDotNames(body, limits) : undefined);
  if (refused) return refused;
  if (names) return findNames(names, body, limits);
  return depth && !nestsWithin(body, 0, body.length, limits.maxDepth) ? TOO_DEEP : undefined;
}

function findNames(
  inspector: InspectorName | ManagedInspectorName,
  body: Buffer,
  limits: InspectionLimits,
): References | Denial {
  if (!isManaged(inspector) && canNameNothing(body))
    return nestsWithin(body, 0, body.length, limits.maxDepth) ? NOTHING_NAMED : TOO_DEEP;
  const found = inspectBody(inspector, body, limits);
  if ('kind' in found || found.others.length < 2) return found;
  // Each is checked once, in the order of its first place.
  const others = new Set(found.others);
  return others.size > MAX_NAMES ? TOO_MANY_NAMES : { others: [...others] };
}

/**
 * Upstream: whatever parses as a URL with one of these schemes, blanks and control bytes aside. Other locations are paths, or
 * refused by upstream itself (Qdrant v1.19.0, `recover_shard_snapshot`).
 */
const REMOTE = /^https?:/i;

/** Only an object whose every `location` is no remote URL passes; what cannot be read is refused. */
function checkLocation(body: Buffer): Denial | undefined {
  try {
    const reader = new JsonReader(body);
    reader.readObject((key) => {
      if (key !== 'location') reader.skipValue();
      else if (reader.peek() !== 'string' || REMOTE.test(withoutBlanks(reader.readString()))) {
        throw new JsonFault('syntax', 'location', reader.position);
      }
    });
    reader.end();
    return undefined;
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    return URL_RECOVERY_DISABLED;
  }
}

/** Readers of URLs leave out blanks and control bytes, some at the ends and some everywhere. */
function withoutBlanks(text: string): string {
  return [...text].filter((char) => char > ' ').join('');
}
