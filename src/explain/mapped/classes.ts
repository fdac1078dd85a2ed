import type { OfflineParts } from '../parts.ts';
import { tokenLabel } from '../space/labels.ts';
import type { PrincipalClass } from '../space/principal-class.ts';
import { OTHER_SUBJECT, subjectsOf } from '../space/subjects.ts';
import { NO_TENANTS, tenantForms } from '../space/tenant-forms.ts';
import { type ClaimSource, type Holder, identifyHolder, mappingsOf } from './holder.ts';
import { claimsIn, namesOf } from './templates.ts';

/*
 * Callers whose claims are mapped: one class for each mapping, held alone. A caller that holds several has all of their accesses
 * together.
 */

/** A question about the holders of some mappings. */
export interface MappedCallers {
  readonly source: ClaimSource;
  readonly mappings: readonly string[];
  /** `undefined` = any that no policy mentions. */
  readonly subjects: readonly (string | undefined)[];
}

/** The classes of all mappings of all issuers, and of client certificates where they are identities. */
export function mappedClasses(states: readonly OfflineParts[]): readonly PrincipalClass[] {
  // A caller of these always has a subject.
  const mentioned = subjectsOf(states).filter((one) => one !== undefined);
  const subjects = mentioned.length === 0 ? [undefined] : mentioned;
  return sourcesOf(states).flatMap((source) =>
    mappingIds(source, states).flatMap((id) => classesOf({ source, mappings: [id], subjects }, states)),
  );
}

function sourcesOf(states: readonly OfflineParts[]): readonly ClaimSource[] {
  const ids = new Set(states.flatMap(({ state: { policy } }) => (policy.issuers ?? []).map(({ id }) => id)));
  const certificates = states.some(({ state: { policy } }) => policy.clientCertificates !== undefined);
  return [
    ...[...ids].map((id) => ({ from: 'issuer', id }) as const),
    ...(certificates ? [{ from: 'certificates' } as const] : []),
  ];
}

function mappingIds(source: ClaimSource, states: readonly OfflineParts[]): readonly string[] {
  const own = states.filter(({ state }) => source.from === 'issuer' || state.policy.clientCertificates !== undefined);
  return [...new Set(own.flatMap(({ state }) => mappingsOf(source, state)?.mappings.map(({ id }) => id) ?? []))];
}

/** The classes of those who hold these mappings and no others: by names that claims make, by subject, and by tenant. */
export function classesOf(
  { source, mappings, subjects }: MappedCallers,
  states: readonly OfflineParts[],
): readonly PrincipalClass[] {
  const settings = states.flatMap(
    ({ state }) => mappingsOf(source, state)?.mappings.filter(({ id }) => mappings.includes(id)) ?? [],
  );
  const inNames = [...claimsIn(namesOf(settings).claimed).keys()];
  const isBound = settings.some(({ tenant, tenant_from: from }) => tenant === undefined && from === undefined);
  const tenantsTold = isBound ? tenantForms(states) : [NO_TENANTS];
  const family = familyOf(source, mappings, states);
  return (inNames.length > 0 ? [true, false] : [false]).flatMap((names) =>
    subjects.flatMap((subject) =>
      tenantsTold.map((tenants) => {
        const traits = [
          inNames.length === 0 ? '' : `${inNames.join(', ')} names ${names ? 'it' : 'another'}`,
          subject === undefined || subjects.length === 1 ? '' : `subject ${subject}`,
          tenants.label,
        ];
        const form = { source, mappings, subject: subject ?? OTHER_SUBJECT, tenants: tenants.claims };
        return classOf(form, { family, traits, names, dependsOn: inNames.length > 0 });
      }),
    ),
  );
}

interface Told {
  readonly family: string;
  readonly traits: readonly string[];
  /** True = its claims name the collection in question. */
  readonly names: boolean;
  readonly dependsOn: boolean;
}

function classOf(
  form: Pick<Holder, 'source' | 'mappings' | 'subject' | 'tenants'>,
  { family, traits, names, dependsOn }: Told,
): PrincipalClass {
  const { source, subject } = form;
  const isTold = traits.some((one) => one !== '');
  return {
    label: isTold ? tokenLabel(family, traits) : family,
    kind: source.from === 'issuer' ? 'issued' : 'certificate',
    key: source.from === 'issuer' ? source.id : 'client_certificates',
    ...{ subject, family, byCollection: dependsOn },
    ...(isTold && { traits }),
    headersFor: async () => [],
    identify(parts, collection, target) {
      const named = [...(names ? [collection] : []), ...(target === undefined ? [] : [target])];
      return identifyHolder({ ...form, named, avoided: names ? [] : [collection] }, parts);
    },
  };
}

function familyOf(source: ClaimSource, mappings: readonly string[], states: readonly OfflineParts[]): string {
  const held = `${mappings.length > 1 ? 'mappings' : 'mapping'} ${mappings.join(', ')}`;
  if (source.from === 'issuer') return `token of the issuer ${source.id}, ${held}`;
  const beside = states.some(({ state }) => state.config.gateway.client_certificates.mode === 'beside_key');
  return beside ? `key or token beside a certificate, ${held}, at most` : `certificate, ${held}`;
}
