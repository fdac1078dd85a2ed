import { acceptClaims } from '../../identity/accept-token.ts';
import { mintToken } from '../../identity/token.ts';
import { INVALID_CREDENTIAL, INVALID_SIGNATURE } from '../../policy/denial.ts';
import { signingSecrets } from '../caller.ts';
import type { OfflineParts } from '../parts.ts';
import { tokenLabel } from './labels.ts';
import type { PrincipalClass } from './principal-class.ts';
import { subjectsOf } from './subjects.ts';
import { type TenantForm, tenantForms, tenantNamed } from './tenant-forms.ts';
import { type AccessForm, type LifeForm, tokenForms } from './token-forms.ts';

interface TokenForm {
  readonly key: string;
  readonly subject: { readonly label: string; readonly value: string | undefined };
  readonly tenants: TenantForm;
  readonly life: LifeForm;
  readonly access: AccessForm;
}

/** Every signing key that one of the states has, with all forms of tokens that one of them tells apart. */
export function tokenClasses(states: readonly OfflineParts[]): readonly PrincipalClass[] {
  const signing = states.flatMap(({ state, ring }) =>
    ring.jwtSecrets.length > 0 ? signingSecrets(state).map(({ id }) => id) : [],
  );
  const values = subjectsOf(states);
  const unsaid = values.length > 1 ? 'without subject' : '';
  const subjects = values.map((value) => ({ label: value === undefined ? unsaid : `subject ${value}`, value }));
  const { accesses, lives } = tokenForms(states);
  return [...new Set(signing)].flatMap((key) =>
    subjects.flatMap((subject) =>
      tenantForms(states).flatMap((tenants) =>
        lives.flatMap((life) => accesses.map((access) => tokenClass({ key, subject, tenants, life, access }))),
      ),
    ),
  );
}

function tokenClass(form: TokenForm): PrincipalClass {
  const { key, subject, tenants, life, access } = form;
  const family = `token of ${key}`;
  const traits = [access, subject, tenants, life].map(({ label }) => label);
  return {
    ...{ label: tokenLabel(family, traits), kind: 'token', key, family, subject: subject.value, traits },
    byCollection: access.isList,
    async headersFor({ state, assumptions: { now } }, collection) {
      const secret = signingSecrets(state).find(({ id }) => id === key)?.secret;
      return secret === undefined ? [] : ['api-key', await mintToken(claimsOf(form, now, collection), secret)];
    },
    async identify({ ring, assumptions: { now } }, collection, target) {
      const secret = ring.jwtSecrets.find(({ keyId }) => keyId === key);
      if (!secret) return ring.jwtSecrets.length === 0 ? INVALID_CREDENTIAL : INVALID_SIGNATURE;
      const claims = Buffer.from(JSON.stringify(claimsOf(form, now, collection, target)));
      const accepted = acceptClaims(claims, secret, ring, now);
      if (accepted?.kind !== 'accepted') return accepted ?? INVALID_CREDENTIAL;
      return accepted.principal.kind === 'principal' ? accepted.principal : INVALID_CREDENTIAL;
    },
  };
}

function claimsOf({ subject, tenants, life, access }: TokenForm, now: number, collection: string, target?: string) {
  const iat = Math.floor(now / 1000);
  const claim = access.claimOn(collection, target);
  return {
    iat,
    ...(claim !== undefined && { access: claim }),
    ...(life.seconds !== undefined && { exp: iat + life.seconds }),
    ...(subject.value !== undefined && { subject: subject.value }),
    ...Object.fromEntries(tenants.claims.map((name) => [name, tenantNamed(name)])),
  };
}
