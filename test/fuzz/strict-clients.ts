import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Page } from 'playwright-core';
import { findChromium, openBrowser } from '../support/clients/browser.ts';
import { findProgram, runProgram } from '../support/process/programs.ts';

/** HTTP clients that take the standard at its word, each with the version of HTTP it speaks. */
export const STRICT_CLIENTS = [
  'go 1',
  'go 2',
  'java 1',
  'java 2',
  'requests 1',
  'httpx 1',
  'httpx 2',
  'curl 1',
  'curl 2',
  'nghttp 2',
  'chromium 1',
  'chromium 2',
] as const;

export type StrictClient = (typeof STRICT_CLIENTS)[number];

export interface StrictRequest {
  readonly method: string;
  readonly url: string;
  /** Empty = none. */
  readonly key: string;
  /** One more header, `name: value`; empty = none. */
  readonly header: string;
  /** Of the body in bytes; 0 = none. */
  readonly size: number;
  /** Without a length. */
  readonly streamed: boolean;
  /** `deep`: nested 200 deep; `naming`: an object that names the collection `b`; `plain`: an empty object. Then blanks. */
  readonly kind: 'plain' | 'deep' | 'naming';
}

/** What the client saw: a status and the text, or its own word for what went wrong. */
export interface StrictAnswer {
  readonly status: number | 'error';
  readonly text: string;
}

type Ask = (request: StrictRequest) => Promise<StrictAnswer>;

const PYTHON = '.runtime/clients/bin';
const SOURCES = join(import.meta.dirname, 'clients');

/** Why this client cannot be run here; `undefined` = it can. */
export function missing(client: StrictClient): string | undefined {
  const [name = ''] = client.split(' ');
  if (name === 'requests' || name === 'httpx') {
    return python() ? undefined : 'the python clients are not installed, see .ci/programs';
  }
  if (name === 'chromium') return findChromium() ? undefined : 'chromium is not installed';
  return findProgram(name, ['.runtime/bin']) ? undefined : `${name} is not installed`;
}

function python(): string | undefined {
  const file = join(import.meta.dirname, '../..', PYTHON, 'python');
  return existsSync(file) ? file : undefined;
}

/** The clients of one run: each is started when it is first asked, and kept. */
export class StrictClients {
  readonly #seconds: number;
  #browser: Promise<StrictBrowser> | undefined;
  readonly #folder = mkdtempSync(join(tmpdir(), 'strict-clients-'));
  readonly #asked = new Map<StrictClient, Ask>();
  readonly #children: ChildProcess[] = [];

  /** @param seconds after which a client gives up a request by itself */
  constructor(seconds = 20) {
    this.#seconds = seconds;
  }

  ask(client: StrictClient, request: StrictRequest): Promise<StrictAnswer> {
    const ask = this.#asked.get(client) ?? this.#start(client);
    this.#asked.set(client, ask);
    return ask(request);
  }

  /** Ends them all. */
  close(): void {
    for (const child of this.#children) child.kill();
    void this.#browser?.then((browser) => browser.close());
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #start(client: StrictClient): Ask {
    const [name, version = ''] = client.split(' ');
    switch (name) {
      case 'go': {
        const built = join(this.#folder, 'strict-go');
        if (!existsSync(built)) execFileSync('go', ['build', '-o', built, join(SOURCES, 'strict.go')]);
        return this.#lines(built, [version]);
      }
      case 'java':
        return this.#lines('java', ['-XX:TieredStopAtLevel=1', join(SOURCES, 'Strict.java'), version]);
      case 'requests':
        return this.#lines(python() ?? '', [join(SOURCES, 'strict.py'), name]);
      case 'httpx':
        return this.#lines(python() ?? '', [join(SOURCES, 'strict.py'), `${name}${version}`]);
      case 'chromium':
        return async (request) => {
          this.#browser ??= openStrictBrowser();
          return (await this.#browser).ask(request, this.#seconds);
        };
      case 'curl':
        return (request) => this.#curl(version, request);
      default:
        return (request) => this.#nghttp(request);
    }
  }

  /** A program that takes requests as lines and answers each with a line. */
  #lines(file: string, args: readonly string[]): Ask {
    const env = { ...process.env, STRICT_SECONDS: String(this.#seconds) };
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'], env });
    this.#children.push(child);
    const waiting = new Map<string, (answer: StrictAnswer) => void>();
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [id = '', status = '', text = ''] = line.split('\t');
      const answer = { status: status === 'error' ? ('error' as const) : Number(status), text: decode(text) };
      waiting.get(id)?.(answer);
      waiting.delete(id);
    });
    let asked = 0;
    return (request) => {
      const { method, url, key, header, size, streamed, kind } = request;
      const id = String(asked++);
      return new Promise((resolve) => {
        const late = setTimeout(() => resolve({ status: 'error', text: 'no answer in time' }), 2000 * this.#seconds);
        waiting.set(id, (answer) => {
          clearTimeout(late);
          resolve(answer);
        });
        const form = [streamed ? 'streamed' : 'sized', kind];
        child.stdin.write(`${[id, method, url, key, header, size, ...form].join('\t')}\n`);
      });
    };
  }

  async #curl(version: string, request: StrictRequest): Promise<StrictAnswer> {
    const args = ['-q', '-sk', '--max-time', String(this.#seconds), version === '1' ? '--http1.1' : '--http2'];
    args.push('-X', request.method, '-w', '\n%{http_code}', '-H', 'content-type: application/json');
    for (const header of this.#headers(request)) args.push('-H', header);
    if (request.streamed && version === '1') args.push('-H', 'transfer-encoding: chunked');
    if (request.size > 0) args.push('--data-binary', `@${this.#body(request)}`);
    const { code, out, err } = await runProgram('curl', [...args, request.url]);
    const at = out.lastIndexOf('\n');
    if (code !== 0) return { status: 'error', text: `curl ends with ${code}: ${err}${out}` };
    return { status: Number(out.slice(at + 1)), text: out.slice(0, at) };
  }

  async #nghttp(request: StrictRequest): Promise<StrictAnswer> {
    const args = ['-v', '-y', '-t', String(this.#seconds), '-H', `:method: ${request.method}`];
    for (const header of this.#headers(request)) args.push('-H', header);
    if (request.size > 0) args.push('-d', this.#body(request));
    const { code, out, err } = await runProgram('nghttp', [...args, request.url]);
    const status = /:status: (\d+)/.exec(out)?.[1];
    const unprocessed = /processed=0/.test(out + err);
    if (code !== 0 || unprocessed || status === undefined) {
      return { status: 'error', text: `nghttp ends with ${code}: ${err}${out.slice(-500)}` };
    }
    return { status: Number(status), text: out };
  }

  *#headers({ key, header }: StrictRequest): Generator<string> {
    if (key !== '') yield `api-key: ${key}`;
    if (header !== '') yield header;
  }

  #body({ size, kind }: StrictRequest): string {
    const file = join(this.#folder, `body-${size}-${kind}`);
    if (!existsSync(file)) writeFileSync(file, `${BEGINNINGS[kind]}${' '.repeat(size)}`.slice(0, size));
    return file;
  }
}

const BEGINNINGS: Readonly<Record<StrictRequest['kind'], string>> = {
  plain: '{}',
  deep: '['.repeat(200),
  naming: '{"lookup_from":{"collection":"b"}}',
};

/** A browser that asks as a page of the gateway's own does. */
interface StrictBrowser {
  readonly ask: (request: StrictRequest, seconds: number) => Promise<StrictAnswer>;
  readonly close: () => Promise<void>;
}

/** What is run within the page. */
interface PageRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly beginning: string;
  readonly size: number;
  readonly ms: number;
}

/** Its requests have a length: a page that streams them has to be of HTTP/2, and to say so. */
async function openStrictBrowser(): Promise<StrictBrowser> {
  const { context, close } = await openBrowser(findChromium() ?? '');
  const pages = new Map<string, Page>();
  const pageOf = async (origin: string): Promise<Page> => {
    const page = pages.get(origin) ?? (await context.newPage());
    if (!pages.has(origin)) await page.goto(`${origin}/healthz`);
    pages.set(origin, page);
    return page;
  };
  return {
    close,
    ask: async ({ method, url, key, header, size, kind }, seconds) => {
      const at = url.replace('127.0.0.1', 'localhost');
      const page = await pageOf(at.split('/', 3).join('/'));
      const [name = '', value = ''] = header.split(': ');
      const headers = { ...(key && { 'api-key': key }), ...(name && { [name]: value }) };
      const asked: PageRequest = { method, url: at, headers, beginning: BEGINNINGS[kind], size, ms: seconds * 1000 };
      return await page.evaluate(async (one) => {
        const text = `${one.beginning}${' '.repeat(one.size)}`.slice(0, one.size);
        const body = one.size > 0 ? { body: new Blob([text]) } : {};
        const signal = AbortSignal.timeout(one.ms);
        try {
          const answer = await fetch(one.url, { method: one.method, headers: one.headers, signal, ...body });
          return { status: answer.status, text: await answer.text() };
        } catch (error) {
          return { status: 'error' as const, text: String(error) };
        }
      }, asked);
    },
  };
}

function decode(text: string): string {
  return Buffer.from(text, 'base64').toString();
}
