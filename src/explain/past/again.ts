import { DENIAL_CODES } from '../../policy/denial-codes.ts';
import type { Cell } from '../cell.ts';
import type { OfflineParts } from '../parts.ts';
import { isOnAliases, ROWS } from '../space/operations.ts';
import type { PrincipalClass } from '../space/principal-class.ts';
import { principalClasses } from '../space/principals.ts';
import { type CellVerdict, verdictOf } from '../space/verdict.ts';
import type { PastEvent } from './events.ts';
import { besideHolders, type PastHolders, pastHolders, sourceOfEvent } from './mapped-callers.ts';

/** The verdicts on a past request for one class of callers that it may have had. */
export interface AgainVerdict {
  readonly caller: string;
  /** One for each state. */
  readonly verdicts: readonly CellVerdict[];
  /** Set = the log does not tell whether the claims of the caller give it the same mappings under each state. */
  readonly uncertain?: true;
}

/**
 * - a list: the classes of callers that may have sent it; one for a key
 * - `credential`: the credential was refused, and the log does not tell it
 * - `unknown`: the key, or the operation, is not known any more, or the log does not tell the mappings of the token
 */
export type Again = readonly AgainVerdict[] | 'credential' | 'unknown';

/**
 * Asks about past requests again, by what the audit log tells: key, subject, mappings, operation and names. It does not tell the
 * access of a native token: of the accesses that a token may have, those count under which the first state gives the recorded result; if
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
    const {
      auth_type: type,
      key,
      subject,
      mappings,
      operation,
      protocol,
      collection,
      collections,
      result,
      code,
    } = event;
    const id = JSON.stringify([
      type,
      key,
      subject,
      mappings,
      operation,
      protocol,
      collection,
      collections,
      result,
      code,
    ]);
    const known = this.#known.get(id) ?? this.#ask(event);
    this.#known.set(id, known);
    return known;
  }

  async #ask(event: PastEvent): Promise<Again> {
    if (event.key === undefined)
      return event.auth_type === 'None' && event.code === undefined ? 'unknown' : 'credential';
    // A credential that was refused by name: the log does not tell what it would give.
    const { code, auth_type: type } = event;
    if (type === 'None' && code !== undefined && DENIAL_CODES[code]?.kind === 'authentication') return 'credential';
    const cell = cellOf(event);
    const found = this.#callersOf(event);
    if (typeof found === 'string') return found;
    const { callers, uncertain } = found;
    if (!cell || callers.length === 0) return 'unknown';
    const [name = 'other', second] = cell.collection === undefined ? cell.others : [cell.collection, ...cell.others];
    const asked: AgainVerdict[] = [];
    for (const caller of callers) {
      const verdicts: CellVerdict[] = [];
      for (const state of this.#states) {
        // Claims may name both; the list of a native token is not known.
        const identity = await caller.identify(state, name, isMapped(caller) ? second : undefined);
        verdicts.push(verdictOf(state, identity, cell));
      }
      asked.push({ caller: caller.label, verdicts, ...(uncertain && { uncertain }) });
    }
    const likely = asked.filter(({ verdicts: [first] }) => first && isRecorded(event, first));
    return likely.length > 0 ? likely : asked;
  }

  #callersOf(event: PastEvent): PastHolders | 'credential' | 'unknown' {
    const { mappings } = event;
    const source = sourceOfEvent(event, this.#states);
    const modes = this.#states.map(({ state }) => state.config.gateway.client_certificates.mode);
    const beside = modes.includes('beside_key');
    // Beside a certificate the mappings are those of the certificate.
    if (source?.from === 'issuer' && beside) return 'unknown';
    if (source) return mappings ? pastHolders(source, event, this.#states) : 'credential';
    const own = this.#ownCallers(event);
    return beside && mappings ? besideHolders(own, event, this.#states) : { callers: own, uncertain: false };
  }

  /** Callers with a key or a native token. */
  #ownCallers({ auth_type: type, key, subject }: PastEvent): readonly PrincipalClass[] {
    if (type === 'None') return this.#classes.filter(({ kind }) => kind === 'anonymous');
    if (type === 'ApiKey')
      return this.#classes.filter(({ kind, key: own }) => kind !== 'token' && kind !== 'issued' && own === key);
    const tokens = this.#classes.filter((one) => one.kind === 'token' && one.key === key);
    const own = tokens.filter((one) => one.subject === subject);
    return own.length > 0 ? own : tokens.filter((one) => one.subject === 'any other' || one.subject === undefined);
  }
}

function isMapped({ kind }: PrincipalClass): boolean {
  return kind === 'issued' || kind === 'certificate';
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
