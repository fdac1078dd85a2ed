import fc from 'fast-check';
import t from 'tap';
import { type Change, changesBetween, kindOf } from '../../../src/explain/diff/changes.ts';
import type { OfflineParts } from '../../../src/explain/parts.ts';
import { ROWS, type Row } from '../../../src/explain/space/operations.ts';
import type { Role } from '../../../src/explain/space/survey.ts';
import { type CellVerdict, verdictOf } from '../../../src/explain/space/verdict.ts';
import { mappedPrincipal } from '../../../src/identity/issuers/mapped-principal.ts';
import type { Principal } from '../../../src/identity/principal.ts';
import { mintToken } from '../../../src/identity/token.ts';
import { type Denial, NO_MAPPING, TOKEN_MANAGES } from '../../../src/policy/denial.ts';
import type { MappingSettings } from '../../../src/policy/mapping/mapper.ts';
import { accessOf } from '../../../src/policy/settings.ts';
import { valuesOf } from '../../../src/policy/tenants/settings.ts';
import { KEYS } from '../../support/gateway.ts';
import { runs } from '../../support/generators/runs.ts';
import { NOW, partsOf } from '../fixture.ts';
import { literalIssuers } from '../mappings.ts';
import { NAMES, policies } from '../policies.ts';

/*
 * The diff against brute force: whole tokens and keys, every row of both protocols and names of all kinds are asked under both
 * policies. A change there is reported for its class, and a change that is reported for a class is there.
 */

/** Names inside and outside of every pattern. */
const CONCRETE = ['a', 'aa', 'ab', 'abb', 'abc', 'abcd', 'abcother', 'b', 'bb', 'bother', 'c', 'other', 'other1', 'zz'];

/** Accesses of tokens: global, none, and lists of several names. */
const ACCESSES: readonly (string | undefined | Readonly<Record<string, string>>)[] = [
  'm',
  undefined,
  'r',
  { a: 'rw', abcd: 'r', b: 'prw', zz: 'rw', other: 'r' },
  { 'ab*': 'rw', 'b*': 'prw', c: 'r' },
  {},
];
const MODES: Readonly<Record<string, string>> = { r: 'r on it', rw: 'rw on it', prw: 'prw on it' };

/** A caller, and the label of its class for a request about this collection. */
interface Caller {
  readonly identify: (parts: OfflineParts) => Principal | Denial | Promise<Principal | Denial>;
  readonly isList: boolean;
  readonly label: (collection: string) => string;
}

function withHeaders(...headers: readonly string[]): Caller['identify'] {
  return (parts) => parts.authenticate(headers);
}

const KEY_CALLERS: readonly Caller[] = [
  { identify: withHeaders(), isList: false, label: () => 'no credential' },
  { identify: withHeaders('api-key', KEYS.admin), isList: false, label: () => 'key api_key' },
  { identify: withHeaders('api-key', KEYS.readOnly), isList: false, label: () => 'key read_only_api_key' },
];

/** What two policies tell apart of tokens. */
interface ToldOfTokens {
  readonly access: boolean;
  readonly patterns: boolean;
  readonly lives: readonly number[];
  readonly ends: boolean;
}

function toldOfTokens(states: readonly OfflineParts[]): ToldOfTokens {
  const rules = states.map(({ ring }) => ring.tokenRules);
  const lives = [...new Set(rules.flatMap(({ maxLifetime }) => maxLifetime ?? []))].sort((left, right) => left - right);
  return {
    access: rules.some(({ requireAccess }) => requireAccess),
    patterns: rules.some(({ patterns }) => patterns),
    lives,
    ends: lives.length > 0 || rules.some(({ requireExp }) => requireExp),
  };
}

function accessLabel(access: (typeof ACCESSES)[number], collection: string, told: ToldOfTokens): string {
  if (access === undefined) return told.access ? 'without access' : 'access m or none';
  if (typeof access === 'string') return access === 'm' && !told.access ? 'access m or none' : `access ${access}`;
  const literal = MODES[access[collection] ?? ''];
  if (literal !== undefined || !told.patterns) return literal ?? 'nothing on it';
  const pattern = Object.keys(access).find((one) => one.endsWith('*') && collection.startsWith(one.slice(0, -1)));
  return pattern === undefined ? 'nothing on it' : `${access[pattern]} on it by a pattern`;
}

function lifeLabel(seconds: number | undefined, { lives, ends }: ToldOfTokens): readonly string[] {
  if (seconds === undefined) return ends ? ['without exp'] : [];
  const over = lives.filter((one) => seconds > one).at(-1);
  return over === undefined ? [] : [`living over ${over} s`];
}

function tenantLabel(own: Readonly<Record<string, string>>, claims: readonly string[]): readonly string[] {
  const given = claims.filter((one) => own[one] !== undefined);
  const absent = claims.filter((one) => own[one] === undefined);
  const parts = [...(given.length > 0 ? [`with ${given.join(', ')}`] : [])];
  if (absent.length > 0) parts.push(`without ${absent.join(', ')}`);
  return parts.length === 0 ? [] : [parts.join(' and ')];
}

/** Claims that name tenants, in the order of the file. */
function claimsOf(states: readonly OfflineParts[]): readonly string[] {
  return [...new Set(states.flatMap(({ ring }) => [...(ring.tenants?.claims ?? [])]))];
}

async function callersOf(states: readonly OfflineParts[], { names, text }: Mentioned): Promise<readonly Caller[]> {
  const subjects = /"subjects"/.test(text) ? [undefined, 's', 'whoever'] : [undefined];
  const claims = claimsOf(states);
  const tenants = claims.length === 0 ? [{}] : [{ tenant: 'acme', org: 'org' }, { tenant: 'acme' }, { org: 'org' }, {}];
  const told = toldOfTokens(states);
  // Not every life with every access: the ends of tokens are asked before all else.
  const lives = (access: (typeof ACCESSES)[number]) => (access === 'r' ? [1, 61, 601, undefined] : [1]);
  const tokens: Caller[] = [];
  for (const access of ACCESSES) {
    for (const [subject, tenant] of subjects.flatMap((one) => tenants.map((other) => [one, other] as const))) {
      for (const seconds of lives(access)) {
        const claim =
          typeof access === 'object'
            ? Object.entries(access).map(([collection, mode]) => ({ collection, access: mode }))
            : access;
        const known = subject === undefined || names.has(`subject ${subject}`) ? subject : 'any other';
        const more = [
          ...(subjects.length === 1 ? [] : [known === undefined ? 'without subject' : `subject ${known}`]),
          ...tenantLabel(tenant, claims),
          ...lifeLabel(seconds, told),
        ];
        const iat = Math.floor(NOW / 1000);
        const exp = seconds === undefined ? {} : { exp: iat + seconds };
        const token = await mintToken({ iat, ...exp, access: claim, subject, ...tenant }, KEYS.admin);
        tokens.push({
          identify: withHeaders('api-key', token),
          isList: typeof access === 'object',
          label: (collection) => `token of api_key: ${[accessLabel(access, collection, told), ...more].join(', ')}`,
        });
      }
    }
  }
  return [...tokens, ...KEY_CALLERS];
}

/** A token of an issuer that a state does not have. */
const OF_NOBODY = `${btoa('{"alg":"RS256"}')}.${btoa('{"iss":""}')}.AA`.replaceAll('=', '');

/** The holders of each mapping alone, made of its settings. */
function holdersOf(states: readonly OfflineParts[], { names }: Mentioned): readonly Caller[] {
  const subjects = [...names].flatMap((one) => (one.startsWith('subject ') ? [one.slice('subject '.length)] : []));
  // One subject alone is not said.
  const hasSubjects = subjects.length > 0;
  const mappingIn = ({ state: { policy } }: OfflineParts, issuer: string, id: string) => {
    const found = policy.issuers?.find((one) => one.id === issuer);
    return { found, mapping: found?.mappings.find((one) => one.id === id) };
  };
  const ids = states.flatMap(({ state }) =>
    (state.policy.issuers ?? []).flatMap(({ id, mappings }) => mappings.map((one) => `${id} ${one.id}`)),
  );
  return [...new Set(ids)].flatMap((pair) => {
    const [issuer = '', id = ''] = pair.split(' ');
    const isBound = states.some((parts) => {
      const { mapping } = mappingIn(parts, issuer, id);
      return mapping && !mapping.tenant && !mapping.tenant_from;
    });
    const claims = isBound ? claimsOf(states) : [];
    const tenants = claims.length > 0 ? [true, false] : [undefined];
    return (hasSubjects ? [...subjects, 'any other'] : ['any other']).flatMap((subject) =>
      tenants.map((tenant): Caller => {
        const traits = [
          ...(hasSubjects ? [`subject ${subject}`] : []),
          ...(tenant === undefined ? [] : [`${tenant ? 'with' : 'without'} ${claims.join(', ')}`]),
        ];
        const family = `token of the issuer ${issuer}, mapping ${id}`;
        return {
          isList: false,
          label: () => (traits.length === 0 ? family : `${family}: ${traits.join(', ')}`),
          identify(parts) {
            const { found, mapping } = mappingIn(parts, issuer, id);
            if (!found) return parts.authenticate(['api-key', OF_NOBODY]);
            return mapping ? holderOf(mapping, { issuer, subject, tenant }, parts) : NO_MAPPING;
          },
        };
      }),
    );
  });
}

function holderOf(
  { id, access, tenant, tenant_from: from }: MappingSettings,
  own: { readonly issuer: string; readonly subject: string; readonly tenant: boolean | undefined },
  { ring }: OfflineParts,
): Principal | Denial {
  if (ring.tokenRules.refuseManage && access === 'm') return TOKEN_MANAGES;
  const values = tenant ? valuesOf(tenant) : from ? [`the ${from}`] : undefined;
  const mapped = { kind: 'mapped', access: accessOf(access), mappings: [id], tenant: values } as const;
  const valuesFrom = (claim: string) => (own.tenant ? [`the ${claim}`] : undefined);
  return mappedPrincipal({ authType: 'Jwt', keyId: own.issuer, subject: own.subject, mapped, valuesFrom }, ring);
}

/** Names, patterns and subjects of two policies. */
interface Mentioned {
  readonly names: ReadonlySet<string>;
  readonly text: string;
}

function mentionedIn(...all: readonly unknown[]): Mentioned {
  const names = new Set<string>();
  const walk = (value: unknown, key: string): void => {
    if (typeof value === 'string' && key === 'subjects' && value !== '') names.add(`subject ${value}`);
    else if (typeof value === 'string' && (NAMES as readonly string[]).includes(value)) names.add(value);
    else if (Array.isArray(value)) for (const one of value) walk(one, key);
    else if (typeof value === 'object' && value !== null)
      for (const [name, one] of Object.entries(value)) walk(one, name);
  };
  for (const one of all) walk(one, '');
  return { names, text: JSON.stringify(all) };
}

/** The label of the class of a name: itself if it is mentioned, else its longest mentioned prefix. */
function placeOf(name: string, { names }: Mentioned): string {
  if (names.has(name)) return name;
  let found = '*';
  for (const pattern of names) {
    if (pattern.endsWith('*') && name.startsWith(pattern.slice(0, -1)) && pattern.length > found.length)
      found = pattern;
  }
  return found;
}

function keyOf(label: string, role: Role, place: string, { protocol, operation }: Row): string {
  return [label, role, place, protocol, operation.name].join(' | ');
}

function reportedIn(changes: readonly Change[]): ReadonlyMap<string, string> {
  const all = changes.flatMap(({ principal, role, place, rows, kind }) =>
    rows.rows.map((row) => [keyOf(principal.label, role, place, row), kind] as const),
  );
  return new Map(all);
}

/** The forms in which an operation meets collections. */
function formOf({ operation }: Row): 'on' | 'aliases' | 'global' {
  const { manages, requires, unlisted } = operation;
  if (manages?.right === 'aliases') return 'aliases';
  const inPath = 'method' in operation && operation.path.includes('{collection}');
  return !unlisted && (inPath || manages !== undefined || requires.scope === 'collection') ? 'on' : 'global';
}

const namesOthers = ({ operation: { inspect, manages } }: Row): boolean =>
  inspect !== undefined || manages?.inspect === 'create-collection';

/** Two states that are compared, and what was reported of them. */
interface Compared {
  readonly states: readonly [OfflineParts, OfflineParts];
  readonly reported: ReadonlyMap<string, string>;
  readonly mentioned: Mentioned;
  readonly seen: { compared: number; changed: number };
}

/** Without the restrictions of the request, which are told elsewhere. */
function bare({ allowed, code }: CellVerdict): CellVerdict {
  return { allowed, ...(code !== undefined && { code }), conditions: [] };
}

class Comparison {
  readonly #own: Compared;
  readonly #caller: Caller;
  readonly #identities: readonly (Principal | Denial)[];

  constructor(own: Compared, caller: Caller, identities: readonly (Principal | Denial)[]) {
    this.#own = own;
    this.#caller = caller;
    this.#identities = identities;
  }

  /** Compares all classes that these names touch. Throws for the first difference. */
  all(names: readonly string[]): void {
    for (const row of ROWS) {
      const form = formOf(row);
      if (form === 'global' && !this.#caller.isList)
        this.#check(row, 'global', '', '', this.#verdicts(row, undefined, []));
      if (form === 'global' && row.operation.filter !== undefined && row.operation.requires.scope === 'list') {
        for (const name of names)
          this.#check(row, 'listed', name, name, this.#verdicts(row, undefined, [], name).map(bare));
      }
      if (form === 'on') for (const name of names) this.#check(row, 'on', name, name, this.#verdicts(row, name, []));
      if (form === 'aliases' || namesOthers(row)) this.#pairs(row, form, names);
    }
  }

  #pairs(row: Row, form: string, names: readonly string[]): void {
    for (const one of names) {
      for (const other of names) {
        if (one === other) continue;
        if (form === 'aliases') {
          if (this.#caller.isList) continue;
          const place = `${this.#place(one)} -> ${this.#place(other)}`;
          this.#compare(row, 'aliases', place, one, this.#verdicts(row, undefined, [one, other]));
          continue;
        }
        const alone = this.#verdicts(row, one, []);
        // Where the main collection is refused, it alone decides.
        if (!alone.every(({ allowed }) => allowed)) continue;
        const beside = this.#verdicts(row, one, [other]).map(bare);
        this.#check(row, 'names', other, other, beside);
      }
    }
  }

  #verdicts(
    row: Row,
    collection: string | undefined,
    others: readonly string[],
    shown?: string,
  ): readonly CellVerdict[] {
    return this.#own.states.map((parts, at) => {
      const identity = this.#identities[at];
      if (!identity) throw new TypeError('no identity');
      return verdictOf(parts, identity, { row, collection, others }, shown);
    });
  }

  #place(name: string): string {
    return placeOf(name, this.#own.mentioned);
  }

  #check(row: Row, role: Role, name: string, labelled: string, verdicts: readonly CellVerdict[]): void {
    this.#compare(row, role, name === '' ? '' : this.#place(name), labelled, verdicts);
  }

  #compare(row: Row, role: Role, place: string, labelled: string, [from, to]: readonly CellVerdict[]): void {
    if (!from || !to) throw new TypeError('no verdicts');
    const { reported, seen } = this.#own;
    const expected = kindOf(from, to);
    const key = keyOf(this.#caller.label(labelled), role, place, row);
    seen.compared += 1;
    if (expected) seen.changed += 1;
    const found = reported.get(key);
    if (found !== expected)
      throw new Error(`${key}, asked of ${labelled}: ${expected ?? 'no change'}, reported: ${found ?? 'none'}`);
  }
}

const withIssuers = fc.tuple(policies, literalIssuers).map(([policy, issuers]) => ({ ...policy, issuers }));

t.test('no change is missed, and none is invented', async (t) => {
  const seen = { compared: 0, changed: 0 };
  const some = fc.shuffledSubarray(CONCRETE, { minLength: 4, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(withIssuers, withIssuers, some, async (before, after, names) => {
      const states = [partsOf(before), partsOf(after)] as const;
      const mentioned = mentionedIn(before, after);
      const own: Compared = { states, reported: reportedIn(await changesBetween(...states)), mentioned, seen };
      for (const caller of [...(await callersOf(states, mentioned)), ...holdersOf(states, mentioned)]) {
        const identities = await Promise.all(states.map(caller.identify));
        new Comparison(own, caller, identities).all(names);
      }
    }),
    { numRuns: runs(24) },
  );
  t.ok(seen.compared > 0 && seen.changed > 0, 'some requests were compared, and some change');
  t.comment(`${seen.compared} requests compared, ${seen.changed} of them change`);
});

t.test('a policy does not differ from itself', async (t) => {
  await fc.assert(
    fc.asyncProperty(withIssuers, async (policy) => {
      t.strictSame(await changesBetween(partsOf(policy), partsOf(structuredClone(policy))), []);
    }),
    { numRuns: runs(8) },
  );
});
