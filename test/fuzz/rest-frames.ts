import { ErrorCode, type Setting } from '../../src/http2/frames.ts';
import { encodeHeaders } from '../../src/http2/hpack.ts';
import { writeHeaders, writeRstStream, writeSettings, writeWindowUpdate } from '../../src/http2/write-frames.ts';
import { nextTurn } from '../support/later.ts';
import { checkFaults, within } from './frame-arena.ts';
import { type FrameScript, isMutated, makeFrameScript, PONG, playFrames, simplerFrames } from './frame-scripts.ts';
import type { Choices, Fuzzer, FuzzSession } from './harness.ts';
import { KeptHttp1Upstream } from './kept-http1-upstream.ts';
import { openRestArena, type RestArena } from './rest-arena.ts';
import { checkTalk, checkVerdicts, UpstreamLog } from './rest-checks.ts';
import { requestFrames } from './rest-requests.ts';
import { INITIAL_WINDOW, type RestTalk } from './rest-talk.ts';
import type { StrictClient } from './strict-client.ts';

interface Script extends FrameScript {
  /** First settings of the client's. */
  readonly settings: readonly Setting[];
  /** Before it leaves, the client takes all that it asked for. */
  readonly stays: boolean;
}

function make(choices: Choices): Script {
  const windows = choices.weighted([
    [3, undefined],
    [3, choices.of([0, 1, 2, 100])],
    [1, choices.of([16_384, 65_536, 1_000_000])],
  ]);
  const settings = windows === undefined ? [] : ([[4, windows]] as const);
  const script = makeFrameScript(choices, requestFrames);
  // Without disturbance every answer can be foretold.
  const steps = choices.chance(0.3) ? script.steps.filter((step) => isCalm([step])) : script.steps;
  return { ...script, steps, settings, stays: choices.chance(0.6) };
}

function* simpler(script: Script): Generator<Script> {
  yield* simplerFrames(script);
  if (script.settings.length > 0) yield { ...script, settings: [] };
  if (script.stays) yield { ...script, stays: false };
}

/** Another connection is tried after so many scripts. */
const SERVES_EVERY = 16;
/** What a client that takes all it asked for grants each stream and, beside, the connection. */
const GENEROUS = 1 << 24;
const LARGEST_WINDOW = 0x7fff_ffff;
/** Part of its window for which the gateway may wait before it returns credit. */
const KEPT_BACK = 4;

type Joined = Awaited<ReturnType<RestArena['join']>>;

class Session implements FuzzSession<Script> {
  readonly #arena: RestArena;
  readonly #log: UpstreamLog;
  #ran = 0;
  #earlier: RestTalk | undefined;

  constructor(arena: RestArena, log: UpstreamLog) {
    this.#arena = arena;
    this.#log = log;
  }

  async run(script: Script): Promise<void> {
    const arena = this.#arena;
    arena.reset();
    this.#log.begin(this.#earlier, isMutated(script));
    const joined = await arena.join();
    const { client, talk, socket } = joined;
    this.#earlier = talk;
    const side = {
      client,
      tick: (ms: number) => arena.tick(ms),
      drain: () => arena.drain(),
      destroy: () => void socket.destroy(),
      upload: (upload: Parameters<RestTalk['upload']>[0]) => talk.upload(upload),
    };
    await playFrames(script, side, script.settings);
    talk.pump(client);
    const reads = !client.socket.isPaused();
    if (reads) await answered(client, isMutated(script));
    if (reads && script.stays && !isMutated(script)) await this.#stay(joined, script);
    await this.#leave(client, script.end);
    checkFaults(arena, client);
    checkTalk(talk, this.#log);
    this.#ran += 1;
    if (this.#ran % SERVES_EVERY === 0) await this.#serves();
  }

  /** The client takes all answers, sends its bodies to their end, and everything is at rest. */
  async #stay({ client, talk }: Joined, script: Script): Promise<void> {
    if (isOver(client)) return;
    grantAll(client);
    for (const { id, ended, reset, fields } of talk.asked.values()) {
      const answer = fields.get('x-u') ?? '';
      // Neither it nor upstream ends it.
      if (!reset && (answer.startsWith('none') || !(ended || talk.isUploading(id)))) client.send(writeRstStream(id, 8));
    }
    await within(
      'all requests are answered',
      () => {
        talk.pump(client);
        return isOver(client) || openStreams(client, talk).length === 0;
      },
      () => `streams ${openStreams(client, talk).join(' ')}, uploads ${talk.uploads}, left ${this.#arena.left()}`,
    );
    if (isOver(client)) return;
    const left = (): string => this.#arena.left();
    await within('nothing is under way', () => left() === '' || isOver(client), left);
    if (isOver(client) || client.goaway !== undefined) return;
    const least = INITIAL_WINDOW - INITIAL_WINDOW / KEPT_BACK;
    await within(
      'credit is returned',
      () => talk.credit > least || isOver(client),
      () => `${talk.credit} bytes`,
    );
    await askOnce(client, talk, isCalm(script.steps));
    if (isCalm(script.steps)) checkVerdicts(talk);
  }

  async #leave(client: StrictClient, end: Script['end']): Promise<void> {
    if (end === 'reset') client.socket.resetAndDestroy();
    else if (end === 'destroy') client.socket.destroy();
    else client.socket.end();
    try {
      await within('the connection is gone', () => this.#arena.open === 0);
    } finally {
      client.socket.destroy();
    }
    const left = (): string => this.#arena.left();
    await within('nothing is left of the connection', () => left() === '', left);
  }

  async #serves(): Promise<void> {
    this.#arena.reset();
    const { client, talk } = await this.#arena.join();
    client.open();
    await askOnce(client, talk, true);
    await this.#leave(client, 'reset');
    checkFaults(this.#arena, client);
  }

  rest(): Promise<void> {
    return this.#serves();
  }

  close(): Promise<void> {
    return this.#arena.close();
  }
}

/** Nothing is in it but requests. */
function isCalm(steps: FrameScript['steps']): boolean {
  return steps.every((step) => 'upload' in step || ('what' in step && !step.what.startsWith('other')));
}

function isOver(client: StrictClient): boolean {
  return client.over || client.wrong !== undefined || client.isLost;
}

/** All that was sent has been read. */
async function answered(client: StrictClient, mutated: boolean): Promise<void> {
  const { pongs } = client;
  client.send(PONG);
  // A frame that was changed may have eaten the PING, and with it its answer.
  if (mutated) for (let turns = 0; turns < 5; turns += 1) await nextTurn();
  else await within('the client is answered', () => client.pongs > pongs || isOver(client));
}

/** Streams whose answer or body has not come to its end. */
function openStreams(client: StrictClient, talk: RestTalk): number[] {
  return [...talk.asked.values()]
    .filter(({ id, reset }) => !reset && id <= client.lastTaken && (!client.ended.has(id) || talk.isUploading(id)))
    .map(({ id }) => id);
}

function grantAll(client: StrictClient): void {
  client.send(writeSettings([[4, GENEROUS]]));
  const grant = Math.min(GENEROUS, LARGEST_WINDOW - client.window);
  if (grant > 0) client.send(writeWindowUpdate(0, grant));
}

/** Names of requests are of one use. */
let asks = 0;

/** One more request on this connection gets its answer. @param calm all that was sent keeps the rules */
async function askOnce(client: StrictClient, talk: RestTalk, calm: boolean): Promise<void> {
  const id = talk.highest + 2;
  asks += 1;
  const fields = [
    ...([
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/collections/a'],
      [':authority', 'a'],
    ] as const),
    ...([
      ['api-key', 'main'],
      ['x-id', `last-${asks}`],
      ['x-n', 'yes'],
      ['x-u', 'now-10'],
    ] as const),
  ];
  client.send(writeHeaders(id, encodeHeaders(fields), true));
  await within(
    'one more request is answered',
    () => client.ended.has(id) || isOver(client) || client.goaway !== undefined,
  );
  const answer = talk.answers.get(id);
  // It has sent too many frames, or some that are read late are against the rules.
  if (client.goaway === ErrorCode.ENHANCE_YOUR_CALM || (client.goaway && !calm)) return;
  if (answer?.end !== 'whole' && !client.wrong) throw new Error(`one more request ends with ${JSON.stringify(answer)}`);
}

export const fuzzer: Fuzzer<Script> = {
  name: 'rest-frames',
  about: 'frames of a REST client over HTTP/2 in every order, size and cut',
  make,
  simpler,
  async open() {
    const log = new UpstreamLog();
    const arena = await openRestArena((socket) => new KeptHttp1Upstream(socket, log));
    return new Session(arena, log);
  },
};
