import type { NamedKeysInForce } from '../../policy/named-key.ts';
import { createGateway, type Gateway } from '../gateway.ts';
import { setRuntimeFlags } from '../runtime-flags.ts';
import { faultOf } from './fault.ts';
import type {
  Answer,
  Call,
  ConsoleCall,
  ConsoleReply,
  KeysCall,
  KeysReply,
  LeaseCall,
  LeaseReply,
  WorkerCall,
  WorkerCalls,
} from './messages.ts';
import { changedBy } from './named-keys-change.ts';
import { WorkerConsole } from './worker-console.ts';
import { WorkerKeys } from './worker-keys.ts';
import { WorkerLeases } from './worker-leases.ts';

/* A serving process: one gateway, controlled by the supervisor. It reads no file, no variable and no argument. */

/** Grace time after a signal to this process alone, in milliseconds. */
const LONE_GRACE_MS = 30_000;

setRuntimeFlags();
const leases = new WorkerLeases((call) => answer(call));
const keys = new WorkerKeys((call) => answer(call));
const pages = new WorkerConsole((call) => answer(call));
let gateway: Gateway | undefined;
/** The keys of Redis, as they were last told. */
let namedKeys: NamedKeysInForce | undefined;

type Handlers = { readonly [C in WorkerCall]: (given: WorkerCalls[C]['given']) => Promise<WorkerCalls[C]['answer']> };

const HANDLERS: Handlers = {
  async start({ index, holders, state, generation, revocations, drained, namedKeys: shared, keySets, validations }) {
    if (holders !== undefined) leases.begin(holders);
    const leased = holders === undefined ? undefined : leases;
    gateway = await createGateway(state, [], index, generation, leased, keys.ask, pages);
    gateway.setKeySets(keySets);
    gateway.setValidations(validations);
    if (revocations) gateway.setRevocations(revocations);
    gateway.drainNodes(drained);
    namedKeys = shared;
    if (namedKeys) gateway.setNamedKeys(namedKeys);
    return await gateway.start();
  },
  apply: async ({ state, generation }) => serving().apply(state, generation),
  async revocations(revocations) {
    serving().setRevocations(revocations);
    return null;
  },
  async drain(names) {
    serving().drainNodes(names);
    return null;
  },
  async namedKeys(change) {
    namedKeys = changedBy(namedKeys, change);
    serving().setNamedKeys(namedKeys);
    return null;
  },
  async keySets(sets) {
    serving().setKeySets(sets);
    return null;
  },
  async validations(validations) {
    serving().setValidations(validations);
    return null;
  },
  async ticketKeys(tickets) {
    // Structured cloning makes a `Uint8Array` of it.
    serving().setTicketKeys(Buffer.from(tickets));
    return null;
  },
  snapshot: async (details) => serving().snapshot(details),
  async act(act) {
    serving().act(act);
    return null;
  },
  token: async (request) => serving().exchangeToken(request),
  identify: async ({ credential, remote }) => serving().identify(credential, remote),
  consoleToken: async (request) => serving().consoleToken(request),
  async depart() {
    gateway?.depart();
    return null;
  },
  async stop(graceMs) {
    await gateway?.stop(graceMs);
    return null;
  },
};

function serving(): Gateway {
  if (!gateway) throw new TypeError('a worker was called before it was started');
  return gateway;
}

function handle<C extends WorkerCall>({ call, given }: Call<C>): Promise<WorkerCalls[C]['answer']> {
  const handler: Handlers[C] = HANDLERS[call];
  return handler(given);
}

function answer(message: Answer | LeaseCall | KeysCall | ConsoleCall): void {
  // The supervisor may have ended; then `disconnect` ends this process.
  process.send?.(message, undefined, undefined, () => undefined);
}

process.on('message', (sent: Call | LeaseReply | KeysReply | ConsoleReply) => {
  if ('lease' in sent) leases.replied(sent);
  else if ('keys' in sent) keys.replied(sent);
  else if ('page' in sent) pages.replied(sent);
  else serve(sent);
});

function serve(call: Call): void {
  handle(call).then(
    (result) => {
      answer({ id: call.id, ok: true, answer: result });
      if (call.call === 'stop') leave();
    },
    (error: unknown) => answer({ id: call.id, ok: false, fault: faultOf(error) }),
  );
}

// The supervisor handles them; a terminal sends these to every process of the group.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);

// A signal to this process alone: it finishes its requests, and the supervisor replaces it.
process.once('SIGTERM', () => void HANDLERS.stop(LONE_GRACE_MS).finally(leave));

/**
 * Closes the channel, which keeps this process alive: `node:cluster` ends it without one, also if the supervisor has
 * ended.
 */
function leave(): void {
  if (process.connected) process.disconnect?.();
}
