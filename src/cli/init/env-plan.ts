import { isAbsolute } from 'node:path';
import { UsageError } from '../output.ts';
import { readEnvFile } from './compose-service.ts';
import { type HostPlace, OWN_GRPC, OWN_REST } from './host-plan.ts';
import type { ReadText } from './plan.ts';

/** A file of variables, by its name: `.env`, `.env.production`, `qdrant.env`. */
export function isEnvFile(name: string): boolean {
  return /(^|\/)\.env(\.[\w-]+)?$|\.env$/.test(name);
}

/** Qdrant's variables in a file; their names are not case-sensitive, and an empty one is not set. */
function qdrantVariables(text: string): ReadonlyMap<string, string> {
  const found = [...readEnvFile(text)].map(([name, value]) => [name.toUpperCase(), value] as const);
  return new Map(found.filter(([name, value]) => name.startsWith('QDRANT__') && value !== ''));
}

/**
 * The place of a Qdrant that is started with a file of variables (`--env-file`, `EnvironmentFile=`): its keys and its certificate go on. The
 * file itself does not change. Throws `UsageError` for a file without variables of Qdrant, and for what would be open.
 */
export function placeOfEnv(folder: string, file: string, text: string, readText: ReadText): HostPlace {
  const variables = qdrantVariables(text);
  if (variables.size === 0) throw new UsageError(`\`${file}\` holds no variable QDRANT__*`);
  const of = (name: string) => variables.get(`QDRANT__${name}`);
  const [admin, second, readOnly] = ['API_KEY', 'ALT_API_KEY', 'READ_ONLY_API_KEY'].map((name) =>
    of(`SERVICE__${name}`),
  );
  if (admin === undefined && (second ?? readOnly) !== undefined) {
    throw new UsageError(`\`${file}\`: without QDRANT__SERVICE__API_KEY Qdrant is open for writing; set it as well`);
  }
  const tls = /^(1|true|on|yes)$/i.test(of('SERVICE__ENABLE_TLS') ?? '');
  return {
    folder,
    found: [
      `variables of Qdrant in ${file}`,
      admin === undefined
        ? 'Qdrant has no key: keys are drawn, for everything and for reading'
        : 'Qdrant keeps its key, and callers keep theirs',
    ],
    open: admin === undefined,
    kept: admin === undefined ? undefined : { admin, second, readOnly },
    certificate: tls ? certificateOf(file, of('TLS__CERT'), of('TLS__KEY')) : undefined,
    move: [
      `Qdrant has to leave 6333 and 6334: in ${file} QDRANT__SERVICE__HOST=127.0.0.1, QDRANT__SERVICE__HTTP_PORT=${OWN_REST}, QDRANT__SERVICE__GRPC_PORT=${OWN_GRPC}`,
      `in a container publish 127.0.0.1:${OWN_REST}:6333 and 127.0.0.1:${OWN_GRPC}:6334 instead, and nothing else`,
      ...(tls ? [`Qdrant has to serve without TLS on loopback: in ${file} QDRANT__SERVICE__ENABLE_TLS=false`] : []),
      `start the gateway without the variables of ${file}: they are Qdrant's`,
    ],
    readText,
  };
}

function certificateOf(file: string, cert: string | undefined, key: string | undefined) {
  if (cert === undefined || key === undefined || !isAbsolute(cert) || !isAbsolute(key)) {
    throw new UsageError(
      `\`${file}\`: Qdrant has TLS; QDRANT__TLS__CERT and QDRANT__TLS__KEY have to be absolute paths, or choose --cleartext`,
    );
  }
  return { cert, key };
}
