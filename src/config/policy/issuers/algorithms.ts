import type { IssuerAlgorithm } from '../../../policy/mapping/issuer.ts';

/** Names of the algorithms that issuers may use. */
export const ALGORITHM_NAMES = [
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const),
  ...(['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const),
] as const satisfies readonly IssuerAlgorithm[];
