import type { IssuerAlgorithm } from '../../../policy/mapping/issuer.ts';

/** Defaults of a preset for fields that the entry leaves out. */
export interface Preset {
  readonly issuer?: string;
  readonly algorithms: readonly IssuerAlgorithm[];
  /** In the form of `IssuerSettings.types`. */
  readonly types: readonly string[];
  readonly subject: string;
  /** Taken together, where the entry names no source of keys. */
  readonly keys?: { readonly url: string; readonly caFile: string; readonly bearerTokenFile: string };
}

export const PRESET_NAMES = ['keycloak', 'auth0', 'entra', 'google', 'okta', 'kubernetes', 'github-actions'] as const;
export type PresetName = (typeof PRESET_NAMES)[number];

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Defaults by product, as their documents describe access tokens. */
export const PRESETS: Readonly<Record<PresetName, Preset>> = Object.freeze({
  keycloak: {
    algorithms: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'],
    types: ['jwt', 'at+jwt'],
    subject: 'sub',
  },
  auth0: { algorithms: ['RS256', 'PS256'], types: ['jwt', 'at+jwt'], subject: 'sub' },
  // `sub` of Entra ID differs for each application; `oid` is the user or service in the directory.
  entra: { algorithms: ['RS256'], types: ['jwt', 'at+jwt'], subject: 'oid' },
  google: { issuer: 'https://accounts.google.com', algorithms: ['RS256'], types: ['jwt'], subject: 'sub' },
  okta: { algorithms: ['RS256'], types: ['none', 'jwt', 'at+jwt', 'okta-internal-at+jwt'], subject: 'sub' },
  kubernetes: {
    issuer: 'https://kubernetes.default.svc.cluster.local',
    algorithms: ['RS256', 'ES256', 'ES384', 'ES512'],
    types: ['none', 'jwt'],
    subject: 'sub',
    keys: {
      url: 'https://kubernetes.default.svc/openid/v1/jwks',
      caFile: `${ACCOUNT}/ca.crt`,
      bearerTokenFile: `${ACCOUNT}/token`,
    },
  },
  'github-actions': {
    issuer: 'https://token.actions.githubusercontent.com',
    algorithms: ['RS256'],
    types: ['jwt'],
    subject: 'sub',
  },
});

/** Without a preset. */
export const PLAIN: Omit<Preset, 'algorithms'> = Object.freeze({ types: ['at+jwt', 'jwt', 'none'], subject: 'sub' });
