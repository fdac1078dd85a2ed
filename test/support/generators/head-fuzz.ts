import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import type { RestExchange } from '../../../src/rest/exchange.ts';
import { readRequestHead } from '../../../src/rest/http1/request-head.ts';
import { type RecordingUpstream, recordingUpstream, startGateway, type TestGateway } from '../../rest/lane-fixture.ts';
import { cut, Draw } from './arbitraries.ts';
import { mutatedRequest } from './head-mutations.ts';

/** What a run has met. */
export interface FuzzTally {
  requests: number;
  /** Heads that the relay calls plain. */
  plain: number;
  decided: number;
  permitted: number;
  arrived: number;
}

const LIMITS = { maxBytes: 65_536, maxFields: 100 };
/** A connection that is silent for so long has been answered, or never will be. */
const SILENT_MS = 60;
const WAIT_MS = 10_000;

/**
 * Sends mutated requests to a gateway before a recorder, `parallel` connections at a time, one to three requests on each,
 * in pieces. Throws as soon as one breaks a rule:
 * - what the relay's reader calls plain, Node's parser reads in the same way
 * - what upstream sees is what was decided on and permitted, once, and with the same line and headers
 * - what was decided on stands in what was sent, its request line written with single blanks
 */
export async function fuzzHeads(relayed: boolean, requests: number, seed: number, parallel = 100): Promise<FuzzTally> {
  const upstream = await recordingUpstream();
  const gateway = await startGateway(upstream.port, { relayed, limits: { max_connections: parallel * 4 } });
  const node = new NodeReader();
  const tally: FuzzTally = { requests: 0, plain: 0, decided: 0, permitted: 0, arrived: 0 };
  const owed = new Map<string, number>();
  const written = new Set<string>();
  try {
    while (tally.requests < requests) {
      const sent: string[] = [];
      for (let index = 0; index < parallel; index += 1) {
        const draw = new Draw({ seed: seed + tally.requests * 0x9e37, length: 400 });
        const several = Array.from({ length: 1 + draw.below(3) }, () => mutatedRequest(draw, ++tally.requests));
        for (const text of several) if (await node.agrees(text)) tally.plain += 1;
        sent.push(several.join(''));
      }
      await Promise.all(
        sent.map((text, index) => talk(gateway.port, text, new Draw({ seed: seed ^ index, length: 40 }))),
      );
      for (const text of sent) for (const line of linesIn(text)) written.add(line);
      await settle(gateway, upstream, owed, written, tally);
    }
  } finally {
    node.close();
    await gateway.close();
    await upstream.close();
  }
  return tally;
}

/** Compares what was decided on with what arrived, until every request that arrived is accounted for. */
async function settle(
  { outcomes }: TestGateway,
  { received }: RecordingUpstream,
  owed: Map<string, number>,
  written: ReadonlySet<string>,
  tally: FuzzTally,
): Promise<void> {
  const until = performance.now() + WAIT_MS;
  for (;;) {
    for (const { exchange } of outcomes.splice(0)) {
      const { method, requestTarget, resolution, decision, headers } = exchange as RestExchange;
      assert.ok(written.has(`${method} ${requestTarget}`), `decided on, and not sent: ${method} ${requestTarget}`);
      tally.decided += 1;
      if (decision?.kind !== 'permit') continue;
      tally.permitted += 1;
      const key = signature(method, resolution?.pathToSend ?? '', headers);
      owed.set(key, (owed.get(key) ?? 0) + 1);
    }
    const unknown: string[] = [];
    for (const request of received.splice(0)) {
      const key = signature(request.method, request.target, request.headers);
      const left = owed.get(key) ?? 0;
      if (left === 0) {
        unknown.push(key);
        received.push(request);
      } else {
        tally.arrived += 1;
        if (left === 1) owed.delete(key);
        else owed.set(key, left - 1);
      }
    }
    if (unknown.length === 0) return;
    // It may still be under way: an exchange is told about at its end.
    if (performance.now() > until) assert.fail(`arrived, and not decided on: ${unknown.join('\n')}`);
    await turn();
  }
}

/** Method and target of every request line that can stand in the bytes, wherever a body before it may end. */
function* linesIn(text: string): Generator<string> {
  for (const [, method = '', target = ''] of text.matchAll(/([A-Za-z-]+) ([^ \t\r\n]+) HTTP\/1\./g)) {
    for (let from = 0; from < method.length; from += 1) yield `${method.slice(from)} ${target}`;
  }
}

/** What the hop to upstream puts there, and what is removed on the way. */
const REMOVED = new Set(
  (
    'host connection content-length transfer-encoding keep-alive te trailer upgrade expect api-key authorization ' +
    'x-forwarded-for x-forwarded-proto x-forwarded-host x-real-ip x-original-url x-http-method-override'
  ).split(' '),
);

function signature(method: string, target: string, headers: readonly string[]): string {
  const listed = new Set(
    valuesOf(headers, 'connection').flatMap((value) => value.split(',').map((name) => name.trim().toLowerCase())),
  );
  const fields: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = (headers[i] ?? '').toLowerCase();
    const kept = !listed.has(name) || name.startsWith('content-');
    if (kept && !REMOVED.has(name.replaceAll('_', '-'))) fields.push(`${name}: ${headers[i + 1]}`);
  }
  return `${method} ${target} | ${fields.join(' | ')}`;
}

function valuesOf(headers: readonly string[], name: string): string[] {
  return headers.filter((_, i) => i % 2 === 1 && headers[i - 1]?.toLowerCase() === name);
}

/** One connection: the bytes in pieces, then silence or the end. */
async function talk(port: number, text: string, draw: Draw): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(() => socket.destroy(), SILENT_MS);
  socket.on('error', () => undefined).on('data', () => timer.refresh());
  socket.once('close', () => {
    clearTimeout(timer);
    resolve();
  });
  for (const piece of draw.oneIn(3) ? cut(draw, Buffer.from(text, 'latin1')) : [Buffer.from(text, 'latin1')]) {
    if (piece.length > 0) socket.write(piece);
    timer.refresh();
    await turn();
  }
  await promise;
}

/** Node's parser behind streams without sockets. */
class NodeReader {
  readonly #server = createServer({ maxHeaderSize: LIMITS.maxBytes, requireHostHeader: false });
  #seen: IncomingMessage | undefined;

  constructor() {
    this.#server.on('request', (request) => {
      this.#seen ??= request;
    });
    this.#server.on('clientError', (_error, stream) => stream.destroy());
  }

  close(): void {
    this.#server.close();
  }

  /** Is the head plain? Then Node has to read it in the same way. */
  async agrees(text: string): Promise<boolean> {
    const bytes = Buffer.from(text, 'latin1');
    const head = readRequestHead(bytes, LIMITS);
    if (typeof head === 'string') return false;
    this.#seen = undefined;
    const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
    stream.on('error', () => undefined);
    this.#server.emit('connection', stream);
    stream.push(bytes.subarray(0, head.length));
    for (let turns = 0; turns < 50 && !this.#seen; turns += 1) await turn();
    const seen = this.#seen as IncomingMessage | undefined;
    assert.ok(seen, `not read: ${JSON.stringify(text)}`);
    const { method, url, rawHeaders, headers } = seen;
    const expected = { method: head.method, url: head.target, rawHeaders: head.headers, length: head.contentLength };
    const length = Number(headers['content-length'] ?? 0);
    assert.deepEqual({ method, url, rawHeaders, length }, expected, JSON.stringify(text));
    assert.equal(headers['transfer-encoding'], undefined);
    stream.destroy();
    return true;
  }
}
