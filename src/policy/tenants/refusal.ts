import type { Denial } from '../denial.ts';

/** A request that is refused for what stands in its body. Thrown inside the rewriting only. */
export class TenantRefusal extends Error {
  readonly code = 'ERR_TENANT_REFUSED';
  readonly denial: Denial;

  constructor(denial: Denial) {
    super(denial.message);
    this.name = 'TenantRefusal';
    this.denial = denial;
  }
}
