import { createFolderStore } from '../../../src/acme/folder-store.ts';
import { createRedisStore } from '../../../src/acme/redis-store.ts';
import type { AcmeStore } from '../../../src/acme/store.ts';
import { createRedisConnection } from '../../../src/redis/connection.ts';
import { QUICK, settingsFor, startRenewer } from './renewing.ts';

/*
 * A gateway's renewer in a process of its own, which a test ends while an order is under way: it never answers the validation.
 * Argument: JSON of `LeaderOptions`. It prints `showing` once its proofs are shown.
 */

export interface LeaderOptions {
  readonly directory: string;
  /** PEM. */
  readonly ca: string;
  readonly folder: string;
  /** Port of Redis; default: the folder is shared. */
  readonly redis?: number;
  /** For Redis. */
  readonly secret?: string;
}

const { directory, ca, folder, redis, secret = '' }: LeaderOptions = JSON.parse(process.argv[2] ?? '{}');

/** The store, which says when it holds proofs. */
function told(store: AcmeStore): AcmeStore {
  return {
    ...store,
    async write(lease, name, text) {
      await store.write(lease, name, text);
      if (name === 'challenges') process.stdout.write('showing\n');
    },
  };
}

const ends: (() => void)[] = [];
let store = createFolderStore({ folder, leaseMs: QUICK.leaseMs });
if (redis !== undefined) {
  const connection = createRedisConnection({
    ...{ host: '127.0.0.1', port: redis, tls: false, ca: undefined, database: 0, prefix: 'test:' },
    ...{ username: undefined, password: undefined },
  });
  store = createRedisStore({
    ...{ connection, secret: Buffer.from(secret), changed: () => undefined, leaseMs: QUICK.leaseMs },
  });
  connection.start();
}
await startRenewer(
  { teardown: (end) => void ends.push(() => void end) },
  settingsFor({ directory, ca: Buffer.from(ca) }, { folder }),
  // Longer than the test: it is ended within the order.
  { store: told(store), times: { shownMs: 600_000 } },
);
// Its timers hold no process.
setInterval(() => undefined, 60_000);
