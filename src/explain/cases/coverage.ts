import type { State } from '../../config/state.ts';
import type { AccessSettings } from '../../policy/settings.ts';
import { decidedBy } from '../decided-by.ts';
import type { Judged } from '../judge.ts';
import type { OfflineParts } from '../parts.ts';
import { askSource, sourcesOf } from '../why.ts';

/** A part of the policy, and the number of cases that it decided. */
export interface CoveredPart {
  /** For example `rule team-a`, `rule team-a access[0]`, `key k7f3 access[1]`, `guard frozen`. */
  readonly part: string;
  readonly cases: number;
}

/** Counts the cases that each rule, grant, guard, limit and tenant has decided. A grant decides where it permits. */
export class CoverageCount {
  readonly #counts: Map<string, number>;

  constructor({ policy }: Pick<State, 'policy'>) {
    const parts = [
      ...policy.rules.flatMap(({ id, access }) => [`rule ${id}`, ...entries(`rule ${id}`, access)]),
      ...(policy.namedKeys ?? []).flatMap(({ id, access }) => entries(`key ${id}`, access)),
      ...(policy.guards ?? []).map(({ id }) => `guard ${id}`),
      ...(policy.limits ?? []).map(({ id }) => `limit ${id}`),
      ...(policy.tenants ?? []).map(({ id }) => `tenant ${id}`),
    ];
    this.#counts = new Map(parts.map((part) => [part, 0]));
  }

  /** Notes one case. */
  see(judged: Judged, parts: OfflineParts): void {
    const { kind, id } = decidedBy(judged, parts);
    const decided =
      id === undefined ? [] : kind === 'tenant' ? id.split(', ').map((one) => `tenant ${one}`) : [`${kind} ${id}`];
    for (const part of new Set([...decided, ...permitting(judged, parts), ...shadowing(judged)])) {
      const before = this.#counts.get(part);
      if (before !== undefined) this.#counts.set(part, before + 1);
    }
  }

  /** All parts, in the order of the files. */
  get parts(): readonly CoveredPart[] {
    return [...this.#counts].map(([part, cases]) => ({ part, cases }));
  }
}

function entries(place: string, access: AccessSettings | undefined): readonly string[] {
  return Array.isArray(access) ? access.map((_, index) => `${place} access[${index}]`) : [];
}

/** The entries that permit a permitted request, and the conditions of tenants that it is sent with. */
function permitting({ exchange, ending, headers }: Judged, parts: OfflineParts): readonly string[] {
  const { principal, resolution, references } = exchange;
  if (ending.kind !== 'forwarded' || !principal || !resolution) return [];
  const { operation, target } = resolution;
  const permits = sourcesOf(principal, headers, parts)
    .map((source) => askSource(source, operation, target, references))
    .flatMap(({ place, entry }) => (entry === undefined ? [] : [place, `${place} ${entry}`]));
  const held = ending.rewriting
    ? (principal.tenancy?.scopes ?? []).flatMap(({ holds }) => (typeof holds === 'object' ? `tenant ${holds.id}` : []))
    : [];
  return [...permits, ...held];
}

function shadowing({ exchange: { shadowed } }: Judged): readonly string[] {
  if (!shadowed) return [];
  return [`rule ${shadowed.rule}`, `guard ${shadowed.rule}`, `limit ${shadowed.rule}`];
}
