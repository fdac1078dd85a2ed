import type { Config } from '../config/schema.ts';
import { NO_REVOCATIONS, type Revocations } from '../identity/revocations.ts';
import { revocationSettings } from '../revocation/settings.ts';
import { createRevocationStore } from '../revocation/store.ts';

/** The revocations in force, read as a starting gateway reads them. */
export async function readRevocations(config: Config, now: number): Promise<Revocations> {
  const settings = revocationSettings(config);
  if (settings.file === undefined && !settings.redis) return NO_REVOCATIONS;
  let inForce = NO_REVOCATIONS;
  const silent = () => undefined;
  const store = createRevocationStore({
    settings,
    now: () => now,
    log: { info: silent, warn: silent, error: silent },
    changed: async (revocations) => {
      inForce = revocations;
    },
    knownKeys: () => [],
  });
  try {
    await store.start();
    const known = store.report().sources.every(({ available, readAt }) => available && readAt > 0);
    const open = settings.redis?.whenUnavailable === 'open';
    return known || open ? inForce : { ...inForce, unknown: true };
  } finally {
    await store.close();
  }
}
