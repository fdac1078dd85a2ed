import type { OpenTenantLane } from './lane.ts';

let loaded: OpenTenantLane | undefined;

/** Opens the lane of a connection; `undefined` = it must be loaded first. A gateway without tenants never loads it. */
export function loadedTenants(): OpenTenantLane | undefined {
  return loaded;
}

/** Loads it. */
export async function loadTenants(): Promise<void> {
  const { TenantCalls } = await import('./tenant-calls.ts');
  loaded = (core, guard, options, checked) => new TenantCalls(core, guard, options, checked);
}
