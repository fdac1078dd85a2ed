import { DENIAL_CODES } from '../../policy/denial-codes.ts';
import type { Cell } from '../cell.ts';
import type { OfflineParts } from '../parts.ts';
import { isOnAliases, ROWS } from '../space/operations.ts';
import type { PrincipalClass } from '../space/principal-class.ts';
import { principalClasses } from '../space/principals.ts';
import { type CellVerdict, verdictOf } from '../space/verdict.ts';
import type { PastEvent } from './events.ts';

/** The verdicts on a past request for one class of callers that it may have had. */
export interface AgainVerdict {
  readonly caller: string;
  /** One for each state. */
  readonly verdicts: readonly CellVerdict[];
}

/**
 * - a list: the classes of callers that may have sent it; one for a key
 * - `credential`: the credential was refused, and the log does not tell it
 * - `unknown`: the key, or the operation, is not known any more
 */
export type Again = readonly AgainVerdict[] | 'credential' | 'unknown';

/**
 * Asks about past requests again, by what the audit log tells: key, subject, operation and names. It does not tell the access
 * of a token: of the accesses that a token may have, those count under which the first state gives the recorded result; if
 * none does, all of them.
 */
export class AskedAgain {
  readonly #states: readonly OfflineParts[];
  readonly #classes: readonly PrincipalClass[];
  readonly #known = new Map<string, Promise<Again>>();

  constructor(states: readonly OfflineParts[]) {
    this.#states = states;
    this.#classes = principalClasses(states);
  }

  ask(event: PastEvent): Promise<Again> {
    const { auth_type: type, key, subject, operation, protocol, collection, collections, result, code } = event;
    const id = JSON.stringify([type, key, subject, operation, protocol, collection, collections, result, code]);
    const known = this.#known.get(id) ?? this.#ask(event);
    this.#known.set(id, known);
    return known;
  }

  async #ask(event: PastEvent): Promise<Again> {
    if (event.key === undefined)
      return event.auth_type === 'None' && event.code === undefined ? 'unknown' : 'credential';
    const cell = cellOf(event);
    const callers = this.#callersOf(event);
    if (!cell || callers.length === 0) return 'unknown';
    const asked: AgainVerdict[] = [];
    for (const caller of callers) {
      const verdicts: CellVerdict[] = [];
      for (const state of this.#states) {
        const identity = await caller.identify(state, cell.collection ?? cell.others[0] ?? 'other');
        verdicts.push(verdictOf(state, identity, cell));
      }
      asked.push({ caller: caller.label, verdicts });
    }
    const likely = asked.filter(({ verdicts: [first] }) => first && isRecorded(event, first));
    return likely.length > 0 ? likely : asked;
  }

  #callersOf({ auth_type: type, key, subject }: PastEvent): readonly PrincipalClass[] {
    if (type === 'None') return this.#classes.filter(({ kind }) => kind === 'anonymous');
    if (type === 'ApiKey') return this.#classes.filter((one) => one.kind !== 'token' && one.key === key);
    const tokens = this.#classes.filter((one) => one.kind === 'token' && one.key === key);
    const own = tokens.filter((one) => one.subject === subject);
    return own.length > 0 ? own : tokens.filter((one) => one.subject === 'any other' || one.subject === undefined);
  }
}

/** The request by its names: the main collection first, then those of the body. */
function cellOf({ operation, protocol, collection, collections = [] }: PastEvent): Cell | undefined {
  const row = ROWS.find((one) => one.protocol === protocol && one.operation.name === operation);
  if (!row) return undefined;
  if (isOnAliases(row)) return { row, collection: undefined, others: collections };
  const others = collections.slice(collection === undefined ? 0 : 1);
  return { row, collection, others };
}

/** True = a verdict by names may have led to the recorded result. Amounts and forms are not asked again. */
function isRecorded({ result, code }: PastEvent, verdict: CellVerdict): boolean {
  const refused = result === 'denied' && code !== undefined;
  const byAccess = refused && ['access', 'authentication', 'unknown'].includes(DENIAL_CODES[code]?.kind ?? '');
  return byAccess ? !verdict.allowed && verdict.code === code : verdict.allowed;
}
