import type { ScopedAccess } from '../../policy/access.ts';
import type { ResponseFilterName } from '../../policy/operation.ts';
import { changeForTenant, type TenantAnswer } from '../tenants/answers.ts';
import { type FilterContext, RESPONSE_FILTERS } from './filter.ts';
import { patchTelemetry } from './filter-patch.ts';
import type { TelemetrySettings } from './telemetry-settings.ts';

/** The change of a whole, decoded 200 answer of upstream's. Plain data: it may be done in another thread. */
export interface AnswerTask {
  readonly kind: 'answer';
  /** Entries that are hidden; none without it. */
  readonly filter?: {
    readonly name: ResponseFilterName;
    readonly visible: ScopedAccess;
    readonly context: FilterContext;
  };
  /** The answer to a request that was made anew for a tenant. */
  readonly tenant?: TenantAnswer;
  /** The gateway's own settings as telemetry shows them. */
  readonly telemetry?: TelemetrySettings;
}

/** Pure. Throws where the answer is not what was expected. */
export function runAnswerTask({ filter, tenant, telemetry }: AnswerTask, body: Buffer): Buffer {
  if (tenant) return changeForTenant(tenant, body);
  const kept = filter ? RESPONSE_FILTERS[filter.name](body, filter.visible, filter.context) : body;
  return telemetry ? patchTelemetry(kept, telemetry) : kept;
}
