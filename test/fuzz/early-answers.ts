import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startGateway, type TestGateway, testCertificate } from '../rest/lane-fixture.ts';
import type { Choices, Fuzzer, FuzzSession } from './harness.ts';
import { missing, STRICT_CLIENTS, type StrictClient, StrictClients, type StrictRequest } from './strict-clients.ts';

/** What is asked, and what every client has to see. */
interface Case {
  readonly method: string;
  readonly path: string;
  readonly key: string;
  readonly kind?: StrictRequest['kind'];
  /** Least and most bytes of the body. */
  readonly sizes?: readonly [number, number];
  readonly status: number;
  readonly text: RegExp;
}

const MISSING = /Must provide an API key/;
const WRONG = /Invalid API key or JWT/;
const KB = 1_024;
const MB = 1_048_576;

export const CASES: Readonly<Record<string, Case>> = {
  'no key': { method: 'PUT', path: '/collections/a/points', key: '', status: 401, text: MISSING },
  'a wrong key': { method: 'PUT', path: '/collections/a/points', key: 'wrong', status: 401, text: WRONG },
  'a write by a reader': { method: 'PUT', path: '/collections/a/points', key: 'read', status: 403, text: /Forbidden/ },
  'a query elsewhere': {
    method: 'POST',
    path: '/collections/b/points/query',
    key: 'listA',
    status: 403,
    text: /Forbidden/,
  },
  'a query too large to be judged': {
    method: 'POST',
    path: '/collections/a/points/query',
    key: 'listA',
    sizes: [2 * MB, 60 * MB],
    status: 413,
    text: /larger than/,
  },
  'a body too deep': {
    method: 'POST',
    path: '/collections/a/points/query',
    key: 'read',
    kind: 'deep',
    sizes: [KB, 420 * KB],
    status: 400,
    text: /nest|deep/,
  },
  'a query that names another collection': {
    method: 'POST',
    path: '/collections/a/points/query',
    key: 'listA',
    kind: 'naming',
    sizes: [KB, 420 * KB],
    status: 403,
    text: /Access to collection b is required/,
  },
  'a body that upstream finds too large': {
    method: 'PUT',
    path: '/collections/limited/points',
    key: 'main',
    sizes: [33 * MB, 60 * MB],
    status: 400,
    text: /larger than allowed/,
  },
  'an upload of a snapshot': {
    method: 'POST',
    path: '/collections/a/snapshots/upload',
    key: 'main',
    sizes: [0, 60 * MB],
    status: 200,
    text: /"read":\d+/,
  },
  'upstream answers early and reads on': {
    method: 'POST',
    path: '/collections/early/snapshots/upload',
    key: 'main',
    sizes: [2, 60 * MB],
    status: 404,
    text: /early/,
  },
  'upstream answers early and reads no more': {
    method: 'POST',
    path: '/collections/deaf/snapshots/upload',
    key: 'main',
    sizes: [2, 60 * MB],
    status: 404,
    text: /early/,
  },
  'an upsert': {
    method: 'PUT',
    path: '/collections/a/points',
    key: 'main',
    sizes: [2, 60 * MB],
    status: 200,
    text: /"read":\d+/,
  },
  'a scroll': {
    method: 'POST',
    path: '/collections/a/points/scroll',
    key: 'listA',
    sizes: [2, 420 * KB],
    status: 200,
    text: /"read":\d+/,
  },
};

interface Asked {
  readonly what: string;
  readonly size: number;
  readonly streamed: boolean;
  /** A head that the relay leaves to the other lane. */
  readonly odd: boolean;
}

export interface Script {
  readonly client: StrictClient;
  readonly tls: boolean;
  readonly asked: readonly Asked[];
}

const SIZES = [
  [6, 0],
  [8, 2],
  [8, KB],
  [6, 64 * KB],
  [5, 420 * KB],
  [3, 4 * MB],
  [2, 10 * MB],
] as const;
const LONG_SIZES = [...SIZES, [1, 60 * MB]] as const;

/** Take minutes for more: httpx copies all that is left of a body for each frame, Java's HTTP/1.1 encrypts in small pieces. */
const SLOW: readonly StrictClient[] = ['httpx 2', 'java 1', 'java 2'];
const SLOW_BYTES = 10 * MB;

export function makeScript(choices: Choices, sizes: readonly (readonly [number, number])[]): Script {
  const client = choices.of(STRICT_CLIENTS);
  const largest = SLOW.includes(client) ? SLOW_BYTES : Math.max(...sizes.map(([, size]) => size));
  const cases = Object.entries(CASES).filter(([, { sizes: [least] = [0] }]) => least <= largest);
  return {
    client,
    tls: client.endsWith('2') || choices.chance(0.7),
    asked: Array.from({ length: choices.between(1, 4) }, () => {
      const [what, { sizes: [least, atMost] = [0, 60 * MB] }] = choices.of(cases);
      const size = Math.min(atMost, largest, Math.max(least, choices.weighted(sizes)));
      return { what, size, streamed: choices.chance(0.3), odd: choices.chance(0.3) };
    }),
  };
}

/** Upstream: `max_request_size_mb`, which holds for JSON. */
const MOST_JSON = 32 * MB;

/** Answers before it has read the body, or with how much it has read. */
export async function earlyUpstream(): Promise<{ readonly port: number; close(): void }> {
  const server = createServer((request, response) => {
    request.on('error', () => undefined);
    if (request.url?.startsWith('/collections/early/') || request.url?.startsWith('/collections/deaf/')) {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"status":{"error":"early"}}');
      if (request.url.startsWith('/collections/early/')) request.resume();
      return;
    }
    let read = 0;
    const most = request.url?.startsWith('/collections/limited/') ? MOST_JSON : Number.POSITIVE_INFINITY;
    const refuse = (bytes: number): void => {
      const error = `JSON payload (${bytes} bytes) is larger than allowed (limit: ${MOST_JSON} bytes).`;
      response.writeHead(400, { 'content-type': 'application/json', connection: 'close' });
      response.end(JSON.stringify({ status: { error }, time: 0 }));
    };
    // Upstream: refused by its length, or with the byte that is too much; then nothing is read any more.
    const length = Number(request.headers['content-length'] ?? 0);
    if (length > most) {
      refuse(length);
      return;
    }
    request.on('data', (chunk: Buffer) => {
      read += chunk.length;
      if (read <= most || response.headersSent) return;
      request.pause();
      refuse(read);
    });
    request.on('end', () => {
      if (!response.headersSent) response.end(JSON.stringify({ read }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

class EarlyAnswers implements FuzzSession<Script> {
  readonly #upstream: Awaited<ReturnType<typeof earlyUpstream>>;
  readonly #gateways: Readonly<Record<'tls' | 'plain', TestGateway>>;
  readonly #clients = new StrictClients();

  constructor(upstream: Awaited<ReturnType<typeof earlyUpstream>>, tls: TestGateway, plain: TestGateway) {
    this.#upstream = upstream;
    this.#gateways = { tls, plain };
  }

  async run(script: Script): Promise<void> {
    if (missing(script.client)) return;
    const { port } = script.tls ? this.#gateways.tls : this.#gateways.plain;
    for (const [index, { what, size, streamed, odd }] of script.asked.entries()) {
      const { method, path, key, kind = 'plain', status, text } = CASES[what] ?? unknown(what);
      const answer = await this.#clients.ask(script.client, {
        method,
        url: `http${script.tls ? 's' : ''}://127.0.0.1:${port}${path}`,
        key,
        header: odd ? 'content-encoding: identity' : '',
        size,
        streamed,
        kind,
      });
      const where = `${script.client}${script.tls ? ' over TLS' : ''}, ${what}, ${size} bytes, the ${index + 1}.`;
      if (answer.status !== status || !text.test(answer.text)) {
        throw new Error(`${where}: ${answer.status} ${answer.text.slice(-300)} where ${status} was due`);
      }
      if (status === 200 && !answer.text.includes(`"read":${size}`)) throw new Error(`${where}: upstream got less`);
    }
  }

  async rest(): Promise<void> {
    for (const { faults } of Object.values(this.#gateways)) {
      if (faults.length > 0) throw new Error(`internal fault: ${String(faults[0])}`);
    }
  }

  async close(): Promise<void> {
    this.#clients.close();
    for (const gateway of Object.values(this.#gateways)) await gateway.close();
    this.#upstream.close();
  }
}

function unknown(what: string): never {
  throw new RangeError(`no case is named ${what}`);
}

async function open(): Promise<FuzzSession<Script>> {
  const upstream = await earlyUpstream();
  const tls = await startGateway(upstream.port, { tls: await testCertificate() });
  return new EarlyAnswers(upstream, tls, await startGateway(upstream.port));
}

function* simpler(script: Script): Generator<Script> {
  if (script.asked.length > 1) for (const one of script.asked) yield { ...script, asked: [one] };
}

/** With bodies of up to 60 MB. */
export const fuzzer: Fuzzer<Script> = {
  name: 'early-answers',
  about: 'answers that come before the body of their request has been read, and strict clients that read them',
  make: (choices) => makeScript(choices, LONG_SIZES),
  simpler,
  open,
};

/** With bodies of up to 10 MB. */
export const shortFuzzer: Fuzzer<Script> = { ...fuzzer, make: (choices) => makeScript(choices, SIZES) };
