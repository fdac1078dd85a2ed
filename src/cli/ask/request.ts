import { readBounded } from '../../config/files/bounded-read.ts';
import { reason } from '../../config/problem.ts';
import type { AskedRequest } from '../../explain/judge.ts';
import { callOf } from '../../explain/message/call.ts';
import { MessageFault } from '../../explain/message/from-json.ts';
import { CREDENTIAL_HEADERS } from '../../identity/credential.ts';
import { isPlainTarget } from '../../rest/server/head.ts';
import { UsageError } from '../output.ts';

/** The request of `can-i`, as its flags tell it. */
export interface RequestFlags {
  readonly grpc?: string | undefined;
  readonly data?: string | undefined;
  readonly header?: readonly string[] | undefined;
}

/** Reads what `@file` and `@-` stand for. */
export type ReadAll = (limit?: number) => Promise<string>;

/** Most bytes of a body from standard input. */
const MOST_BYTES = 67_108_864;

const METHOD = /^[A-Z]{1,20}$/;

/** The request of a command line. Throws `UsageError`. */
export async function requestOf(
  args: readonly string[],
  flags: RequestFlags,
  readStdin: ReadAll,
): Promise<AskedRequest> {
  const headers = (flags.header ?? []).flatMap(headerOf);
  const data = flags.data === undefined ? undefined : await readData(flags.data, readStdin);
  if (flags.grpc !== undefined) {
    if (args.length > 0) throw new UsageError('give either METHOD PATH, or --grpc Service/Method');
    return { protocol: 'grpc', ...grpcCall(flags.grpc, data), headers };
  }
  const [method, target] = args;
  if (method === undefined || target === undefined) throw new UsageError('give METHOD PATH, or --grpc Service/Method');
  if (!METHOD.test(method)) throw new UsageError('METHOD must be a method of HTTP in capital letters, for example GET');
  if (!isPlainTarget(target)) throw new UsageError('PATH must begin with `/` and have no blanks: encode others as %20');
  return { protocol: 'rest', method, target, headers, body: data ?? Buffer.alloc(0) };
}

function headerOf(line: string): readonly string[] {
  const at = line.indexOf(':');
  if (at < 1) throw new UsageError('-H must be `name: value`');
  const value = line.slice(at + 1).trim();
  if (/[\r\n\0]/.test(line)) throw new UsageError('-H must be one line');
  // Of two credentials one would be left out unsaid, and other users of the machine see arguments.
  if (CREDENTIAL_HEADERS.includes(line.slice(0, at).toLowerCase()))
    throw new UsageError('-H holds no credential: name the caller with --as, --credential-file or --credential-env');
  return [line.slice(0, at), Buffer.from(value, 'utf8').toString('latin1')];
}

/** `@file`, `@-` for standard input, or the text itself. */
async function readData(data: string, readStdin: ReadAll): Promise<Buffer> {
  if (data === '@-') return Buffer.from(await readStdin(MOST_BYTES));
  if (!data.startsWith('@')) return Buffer.from(data);
  try {
    return readBounded(data.slice(1));
  } catch (error) {
    throw new UsageError(`cannot read the body \`${data.slice(1)}\`: ${reason(error)}`);
  }
}

function grpcCall(method: string, data: Buffer | undefined): ReturnType<typeof callOf> {
  let json: unknown;
  try {
    json = data && JSON.parse(data.toString('utf8'));
  } catch {
    throw new UsageError('the message must be JSON');
  }
  try {
    return callOf(method, json);
  } catch (error) {
    if (error instanceof MessageFault) throw new UsageError(error.message);
    throw error;
  }
}
