import type { RuleSettings } from '../policy/settings.ts';

/** The policy file as plain data. */
export interface PolicySettings {
  /** Further secrets of tokens, in the order they are tried. */
  readonly signingKeys: readonly { readonly id: string; readonly secret: string }[];
  /** Checked, but not yet in the form decisions are made with. */
  readonly rules: readonly RuleSettings[];
}

/** No policy file: what keys and tokens carry is enforced as it is. */
export const NO_POLICY: PolicySettings = Object.freeze({ signingKeys: Object.freeze([]), rules: Object.freeze([]) });
