import type { CollectionNames } from '../names/collection-names.ts';

/** One entry of `guards`. Plain data. */
export interface GuardRail {
  /** The name in audit and metrics. */
  readonly id: string;
  readonly mode: 'enforce' | 'shadow';
  /** Collections that are not lost by mistake; `undefined` = none. */
  readonly protects: CollectionNames | undefined;
  /** Collections that are not written to, or `all`: nothing is written anywhere. `undefined` = none. */
  readonly freezes: CollectionNames | 'all' | undefined;
}
