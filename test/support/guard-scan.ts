import type { SourceFile } from './import-scan.ts';

/*
 * Finds what the event loop calls without a guard (`src/lifetime/guard.ts`). The code is read as text, without comments and
 * with its strings emptied.
 */

/** Calls that take one callback or several, and which arguments those are; by default the last. */
const CALLS: readonly { readonly call: RegExp; readonly callbacks: (args: readonly string[]) => readonly string[] }[] =
  [
    {
      call: /\.(?:on|once|addListener|prependListener|prependOnceListener|addEventListener)\(/g,
      callbacks: (args) => args.slice(1, 2),
    },
    { call: /\.(?:then|catch|finally)\(/g, callbacks: (args) => args },
    {
      call: /(?<![.\w#])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\(/g,
      callbacks: (args) => args.slice(0, 1),
    },
    { call: /\bprocess\.nextTick\(/g, callbacks: (args) => args.slice(0, 1) },
    // A `FairQueue` is given the guard that its callback runs under.
    {
      call: /\b(?:scheduler|leads|pace|queue)\.(?:wait|take)\(/gi,
      callbacks: (args) => (args.length === 3 && /\bguard$/i.test(args[1]?.trim() ?? '') ? [] : args.slice(-1)),
    },
    // Those that may be given a callback.
    {
      call: /(?:\.(?:listen|close|end|write|getConnections|makeUnaryRequest|setTimeout)|\bcreate(?:Tcp|Tls|Http|Http2)?Server)\(/g,
      callbacks: (args) => args.filter((arg) => arg.includes('=>')),
    },
  ];

/** What runs under a guard, or does nothing. */
const ENTRY = /^[\w.#]+(?:\([^()]*\))?(?:\.at\([^()]*\))?\.entry\(/;
const NO_OP = 'ignore';

const STREAM_METHODS = '_read|_write|_writev|_final|_destroy|_transform|_flush|_construct';
const STREAM_OPTIONS = /\bnew (?:Readable|Writable|Transform|Duplex|PassThrough)\(/g;
const HANDLER =
  /(?<![.\w])(readonly )?(onRequestStart|onRequestUpgrade|onResponseStart|onResponseData|onResponseEnd|onResponseError)\s*([(:=])/g;

/** `path: code` of every entry that has no guard. */
export function unguarded(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    const { code } = file;
    const found = [...callsIn(code), ...streamMethodsIn(code), ...streamOptionsIn(code), ...handlersIn(code)];
    return found.map((what) => `${file.path}: ${shortened(what)}`);
  });
}

function callsIn(code: string): string[] {
  const found: string[] = [];
  for (const { call, callbacks } of CALLS) {
    for (const match of code.matchAll(call)) {
      const args = argumentsAt(code, match.index + match[0].length - 1);
      for (const callback of callbacks(args)) {
        if (!isGuarded(code, callback)) found.push(`${match[0]}${args.join(', ')})`);
      }
    }
  }
  return found;
}

/** An overridden method of a stream does nothing outside of `guard.run` but to say that it is done. */
function streamMethodsIn(code: string): string[] {
  const found: string[] = [];
  for (const match of code.matchAll(new RegExp(`(?<![.\\w])(?:override )?(?:${STREAM_METHODS})\\(`, 'g'))) {
    const open = code.indexOf('{', endOf(code, match.index + match[0].length - 1));
    const body = code.slice(open + 1, endOf(code, open) - 1);
    let left = body;
    for (const run of body.matchAll(/[\w.#]*[gG]uard\.run\(/g)) {
      left = left.replace(body.slice(run.index, endOf(body, run.index + run[0].length - 1)), '');
    }
    if (/\S/.test(left.replaceAll(/\bdone\(\w*\)/g, '').replaceAll(';', ''))) found.push(`${match[0]}) {${body}}`);
  }
  return found;
}

function streamOptionsIn(code: string): string[] {
  const found: string[] = [];
  for (const match of code.matchAll(STREAM_OPTIONS)) {
    const [options = ''] = argumentsAt(code, match.index + match[0].length - 1);
    if (/\b(?:read|write|writev|final|destroy|transform|flush|construct)\b\s*[(:]/.test(options)) {
      found.push(`${match[0]}${options})`);
    }
  }
  return found;
}

function handlersIn(code: string): string[] {
  const found: string[] = [];
  for (const match of code.matchAll(HANDLER)) {
    const [text, declared, , mark] = match;
    if (declared) continue;
    const value = argumentsAt(code, match.index + text.length - 1, true)[0] ?? '';
    if (mark === '(' || !isGuarded(code, value)) found.push(`${text} ${value}`);
  }
  for (const match of code.matchAll(/\bthis\.(onRe\w+) = ([^;]*);/g)) {
    if (!isGuarded(code, match[2] ?? '')) found.push(match[0]);
  }
  return found;
}

function isGuarded(code: string, callback: string): boolean {
  const text = callback.trim();
  if (text === '' || text === NO_OP || ENTRY.test(text)) return true;
  if (!/^[\w.#]+$/.test(text)) return false;
  const name = text.replaceAll('.', String.raw`\.`);
  const own = text.startsWith('this.') ? `(?:${name}|(?<![.\\w])${text.slice(5)})` : `(?<![.\\w#])${name}`;
  const made = new RegExp(`${own}\\s*(?::[^=;]*(?:=>[^=;]*)?)?(?:\\?\\?)?=\\s*([^;]*)`, 'g');
  const values = [...code.matchAll(made)]
    .map(([, value = '']) => value.trim())
    .filter((value) => !value.startsWith('>'));
  return values.length > 0 && values.every((value) => ENTRY.test(value));
}

/** What stands between the bracket at `open` and its end, split at its commas. @param value up to the end of a member */
function argumentsAt(code: string, open: number, value = false): string[] {
  const args: string[] = [];
  let depth = 0;
  let from = open + 1;
  for (let at = value ? from : open; at < code.length; at++) {
    const char = code[at] ?? '';
    if ('([{'.includes(char)) depth += 1;
    if (')]}'.includes(char)) depth -= 1;
    const ends = value ? depth < 0 || (depth === 0 && char === ';') : depth === 0;
    if (ends || (char === ',' && depth === (value ? 0 : 1))) {
      const arg = code.slice(from, at).trim();
      if (arg !== '') args.push(arg);
      from = at + 1;
    }
    if (ends) break;
  }
  return args;
}

/** Behind the bracket that closes the one at `open`. */
function endOf(code: string, open: number): number {
  let depth = 0;
  for (let at = open; at < code.length; at++) {
    const char = code[at] ?? '';
    if ('([{'.includes(char)) depth += 1;
    if (')]}'.includes(char)) depth -= 1;
    if (depth === 0) return at + 1;
  }
  return code.length;
}

const SHOWN = 100;

function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > SHOWN ? `${line.slice(0, SHOWN)}...` : line;
}
