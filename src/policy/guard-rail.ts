/** Collections by name and by prefix, byte for byte. */
export interface RailedNames {
  readonly names: ReadonlySet<string>;
  /** The empty one = all. */
  readonly prefixes: readonly string[];
}

/** One entry of `guards`. Plain data. */
export interface GuardRail {
  /** The name in audit and metrics. */
  readonly id: string;
  readonly mode: 'enforce' | 'shadow';
  /** Collections that are not lost by mistake; `undefined` = none. */
  readonly protects: RailedNames | undefined;
  /** Collections that are not written to, or `all`: nothing is written anywhere. `undefined` = none. */
  readonly freezes: RailedNames | 'all' | undefined;
}
