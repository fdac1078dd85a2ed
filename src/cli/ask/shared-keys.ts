import type { State } from '../../config/state.ts';
import type { OnlineFlag } from '../../explain/online.ts';
import { readKeyHash } from '../../named-keys/redis/storage.ts';
import { redisAddressOf } from '../../redis/address.ts';
import { describeRedisFault, withRedisLink } from '../../redis/link.ts';

/** Time limit of Redis, in milliseconds. */
const PATIENCE_MS = 2_000;

/**
 * With the flag, the state with the named keys that Redis has now, in the place of those of a file; a record that is damaged is no key. Rejects
 * if Redis cannot be read: an answer without its keys would be wrong.
 */
export async function withSharedKeys(state: State, { online }: OnlineFlag): Promise<State> {
  const { config, policy } = state;
  const address = online && config.gateway.shared.keys ? redisAddressOf(config) : undefined;
  if (!address) return state;
  try {
    const { records } = await withRedisLink(address, PATIENCE_MS, (link) =>
      readKeyHash(link, address.prefix, Date.now()),
    );
    const namedKeys = [...records.values()].flatMap(({ settings }) => settings ?? []);
    const gateway = { ...config.gateway, shared: { ...config.gateway.shared, keys: false } };
    return { ...state, config: { ...config, gateway }, policy: { ...policy, namedKeys } };
  } catch (error) {
    throw new Error(`the named keys in Redis cannot be read: ${describeRedisFault(error)}`);
  }
}
