/** The operator's requirements on tokens beyond Qdrant: plain data. Restricts only, but for `patterns`. */
export interface TokenRules {
  /** True = a collection of the `access` claim with a trailing `*` is a prefix. Natively the name is literal. */
  readonly patterns: boolean;
  readonly requireExp: boolean;
  /** Longest life in seconds, from `iat` or else from the moment of the check; `undefined` = any. */
  readonly maxLifetime: number | undefined;
  /** True = a token without `access`, which natively manages, is refused. */
  readonly requireAccess: boolean;
  /** True = a token with global manage is refused. */
  readonly refuseManage: boolean;
  /** Shortest secret that may have signed a token, in bytes. */
  readonly minSecretBytes: number;
}

/** Nothing beyond Qdrant. */
export const NO_TOKEN_RULES: TokenRules = Object.freeze({
  patterns: false,
  requireExp: false,
  maxLifetime: undefined,
  requireAccess: false,
  refuseManage: false,
  minSecretBytes: 0,
});
