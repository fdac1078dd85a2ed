import { nextTurn } from '../support/later.ts';
import { type Arena, checkFaults, checkGone, openArena, within } from './frame-arena.ts';
import { type Choices, type Fuzzer, type FuzzSession, fewer } from './harness.ts';
import { type CallScript, SpreadClient, type TakingScript } from './spread-client.ts';
import { type NodeScript, SpreadNode } from './spread-node.ts';

/** Calls of one client over three nodes, and what each side takes. */
interface Script {
  readonly nodes: readonly NodeScript[];
  readonly calls: readonly CallScript[];
  readonly taking: TakingScript;
}

const NODES = 3;
/** Windows in bytes, and of messages that are as small. */
const WINDOWS = [2000, 5000, 16_384, 65_535, 200_000, 1_048_576];
const TINY_WINDOWS = [1, 7, 100, 65_535];
const SIZES = [0, 1, 100, 5000, 16_384, 70_000, 300_000];
const TINY_SIZES = [0, 1, 100, 800];

function node(choices: Choices, windows: readonly number[]): NodeScript {
  const initial = choices.of(windows);
  const connection = choices.of([0, 0, 100_000, 1_048_576]);
  return {
    initial,
    connection,
    mostStreams: choices.of([0, 0, 0, 1, 3]),
    grantEvery: choices.of([1, 1000, 30_000]),
    faultAt: choices.chance(0.4) ? choices.between(1, 6) : 0,
    fault: choices.of(['goaway', 'refuse', 'lost'] as const),
  };
}

function call(choices: Choices, sizes: readonly number[]): CallScript {
  const [up, down] = choices.weighted([
    [6, [choices.below(800), choices.below(800)]],
    [2, [choices.of(sizes), choices.below(800)]],
    [2, [choices.below(800), choices.of(sizes)]],
    [1, [choices.of(sizes), choices.of(sizes)]],
  ] as const);
  const frame = up > 2000 ? choices.of([3000, 16_384]) : choices.of([100, 16_384]);
  return { isWrite: choices.chance(0.5), up, down, frame };
}

/** More uploads at once than a client may send at wide windows. */
function crowd(choices: Choices): CallScript[] {
  const upload = () => ({ isWrite: true, up: choices.of([70_000, 300_000]), down: choices.below(800), frame: 16_384 });
  return Array.from({ length: choices.between(8, 40) }, upload);
}

function make(choices: Choices): Script {
  const isCrowd = choices.chance(0.1);
  const isTiny = !isCrowd && choices.chance(0.3);
  const windows = isTiny ? TINY_WINDOWS : WINDOWS;
  return {
    nodes: Array.from({ length: NODES }, () => node(choices, windows)),
    calls: [
      ...Array.from({ length: choices.between(1, 18) }, () => call(choices, isTiny ? TINY_SIZES : SIZES)),
      ...(isCrowd ? crowd(choices) : []),
    ],
    taking: {
      initial: choices.of(windows),
      connection: choices.of([0, 0, 100_000, 10_000_000]),
      grantEvery: choices.of([1, 1000, 30_000]),
      later: choices.chance(0.2) ? choices.of([0, 100, 65_535, 1_000_000]) : -1,
    },
  };
}

function* simpler(script: Script): Generator<Script> {
  for (const calls of fewer(script.calls)) yield { ...script, calls };
  for (const [at, one] of script.nodes.entries()) {
    if (one.faultAt > 0) yield { ...script, nodes: script.nodes.with(at, { ...one, faultAt: 0 }) };
    if (one.mostStreams > 0) yield { ...script, nodes: script.nodes.with(at, { ...one, mostStreams: 0 }) };
    if (one.initial !== 65_535) yield { ...script, nodes: script.nodes.with(at, { ...one, initial: 65_535 }) };
  }
  if (script.taking.later >= 0) yield { ...script, taking: { ...script.taking, later: -1 } };
}

interface State {
  script: Script | undefined;
  wrong: string | undefined;
  /** How often each call has run. */
  ran: number[];
}

/** Above this a request is not kept, so that a node may end the call (`KEPT_BYTES`). */
const KEPT = 65_000;

class Session implements FuzzSession<Script> {
  readonly #arena: Arena;
  readonly #state: State;

  constructor(arena: Arena, state: State) {
    this.#arena = arena;
    this.#state = state;
  }

  async run(script: Script): Promise<void> {
    const arena = this.#arena;
    const state = this.#state;
    const before = arena.recorded;
    Object.assign(state, { script, wrong: undefined, ran: script.calls.map(() => 0) });
    const { socket, relay } = await arena.connect();
    const client = new SpreadClient(socket, script.taking);
    const { strict } = client;
    client.begin();
    for (const [number, one] of script.calls.entries()) {
      client.call(number, one);
      if (number % 4 === 3) await nextTurn();
    }
    client.change();
    const isDone = (): boolean => strict.ended.size === script.calls.length;
    const open = (): string =>
      script.calls.flatMap((one, at) => (strict.ended.has(2 * at + 1) ? [] : [`${at} ${JSON.stringify(one)}`])).join();
    const isWrong = (): boolean => strict.wrong !== undefined || state.wrong !== undefined || strict.over;
    await within('all calls end', () => isDone() || isWrong(), open);
    strict.socket.resetAndDestroy();
    await within('the connection is gone', () => arena.open === 0);
    checkFaults(arena, strict);
    if (state.wrong !== undefined) throw new Error(`a node: ${state.wrong}`);
    if (!isDone()) throw new Error('the gateway has closed the connection');
    checkGone(relay, before, arena);
    this.#checkCalls(script, client);
  }

  #checkCalls(script: Script, client: SpreadClient): void {
    const losable = script.nodes.some(({ faultAt, fault }) => faultAt > 0 && fault === 'lost');
    const refusing = script.nodes.filter(({ faultAt }) => faultAt > 0).length;
    for (const [number, one] of script.calls.entries()) {
      const ran = this.#state.ran[number] ?? 0;
      if (one.isWrite && ran > 1) throw new Error(`write ${number} has run ${ran} times`);
      const status = client.strict.statusOf(2 * number + 1);
      if (status === '14' && losable) continue;
      // It goes to another node once, and only if it is kept; after that the client is told that it was not processed.
      if (status === 'reset' && refusing > (one.up > KEPT ? 0 : 1)) continue;
      const wrong = client.wrongWith(number);
      if (wrong !== undefined) throw new Error(wrong);
    }
  }

  async rest(): Promise<void> {
    await this.#arena.untilGone();
  }

  close(): Promise<void> {
    return this.#arena.close();
  }
}

export const fuzzer: Fuzzer<Script> = {
  name: 'spread-calls',
  about: 'calls of a gRPC client over three nodes with windows of their own',
  make,
  simpler,
  async open() {
    const state: State = { script: undefined, wrong: undefined, ran: [] };
    const watch = {
      wrong: (what: string) => {
        state.wrong ??= what;
      },
      ran: (number: number) => {
        state.ran[number] = (state.ran[number] ?? 0) + 1;
      },
    };
    const arena = await openArena((socket, at) => {
      const script = state.script?.nodes[at];
      if (script) new SpreadNode(socket, script, watch);
      else socket.destroy();
    }, NODES);
    return new Session(arena, state);
  },
};
