import { type ClaimPath, claimPath } from '../../policy/mapping/claims.ts';
import type { IssuerSettings } from '../../policy/mapping/issuer.ts';
import { createMapper, type Mapper } from '../../policy/mapping/mapper.ts';
import { type IssuedToken, readIssuedToken } from './issued-token.ts';

/** An issuer, ready to judge tokens. */
export interface Issuer {
  readonly settings: IssuerSettings;
  readonly subjectPath: ClaimPath;
  readonly mapper: Mapper;
}

/** The issuers of a state by their `iss`. */
export type Issuers = ReadonlyMap<string, Issuer>;

/** Builds the issuers; `undefined` = there are none. Throws RangeError for what `check-config` refuses. */
export function issuersOf(settings: readonly IssuerSettings[] = []): Issuers | undefined {
  if (settings.length === 0) return undefined;
  return new Map(settings.map((one) => [one.issuer, issuerOf(one)]));
}

/** One issuer. Throws RangeError for what `check-config` refuses. */
export function issuerOf(settings: IssuerSettings): Issuer {
  const subjectPath = claimPath(settings.subject);
  if (!subjectPath) throw new RangeError(`\`${settings.subject}\` is no path of a claim`);
  return Object.freeze({ settings, subjectPath, mapper: createMapper(settings.mappings) });
}

/** The issuer that an unverified token names, if its algorithm has no shared secret. Any number of issuers costs one look-up. */
export function issuedBy(
  issuers: Issuers,
  text: string,
): { readonly token: IssuedToken; readonly issuer: Issuer } | undefined {
  const token = readIssuedToken(text);
  const issuer = token?.issuer === undefined ? undefined : issuers.get(token.issuer);
  return token && issuer && { token, issuer };
}
