import type { Clock } from '../config/files/clock.ts';
import { settingsOf } from '../config/keys/file.ts';
import { ConfigError } from '../config/problem.ts';
import type { NamedKeySettings } from '../policy/named-key.ts';
import { addKey, type KeyWithText, removeKey, rotateText, setFields } from './changes.ts';
import { KeyFault, type KeyFaultKind } from './fault.ts';
import { readCreate, readEnd, readNothing, readOverlap } from './request.ts';

/** A wanted change of a named key. `body` is unchecked JSON. */
export type KeyRequest =
  | { readonly change: 'create'; readonly body: unknown }
  | {
      readonly change: 'rotate' | 'disable' | 'enable' | 'expire' | 'delete';
      /** Unchecked. */
      readonly id: string;
      readonly body: unknown;
    };

/** Result of a change. */
export type KeyChanged =
  | {
      readonly ok: true;
      /** After the change; of a deleted key: before it. */
      readonly key: NamedKeySettings;
      /** The new text, which is kept nowhere. */
      readonly text: string | undefined;
      /** True = every serving process of this gateway decides by it. */
      readonly inForce: boolean;
      /** Why it is not in force. */
      readonly problems: readonly string[];
    }
  /** Nothing was changed. Texts name fields, files and ids in use, never what was given. */
  | { readonly ok: false; readonly why: KeyFaultKind; readonly problems: readonly string[] };

/** Changes the file of named keys for a running gateway. */
export interface KeyStore {
  /** See `Operator.changeKey`. */
  readonly change: (request: KeyRequest) => Promise<KeyChanged>;
}

export interface KeyStoreOptions {
  /** The file in force; `null` = there is none. */
  readonly file: () => string | null;
  /** Reads all files and puts them in force. Never rejects. */
  readonly reload: () => Promise<{ readonly ok: true } | { readonly ok: false; readonly problems: readonly string[] }>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly clock: Clock;
}

/** Longest wait for a change to be in force, in milliseconds; then it is answered that it is not yet. */
const IN_FORCE_MS = 4_000;
const NO_FILE = 'no file of named keys is configured: set `gateway.keys_file`';
const NOT_YET = 'the gateway has not read its files yet';

/** A store over the configured file, written as `qdrant-gateway key` writes it. */
export function createKeyStore({ file: configured, reload, now, clock }: KeyStoreOptions): KeyStore {
  const inForce = async (file: string): Promise<readonly string[]> => {
    const reloaded = await Promise.race([reload(), clock.idle(IN_FORCE_MS)]);
    if (!reloaded) return [NOT_YET];
    if (!reloaded.ok) return reloaded.problems;
    return configured() === file ? [] : ['`gateway.keys_file` names another file by now'];
  };
  return {
    async change(request) {
      const file = configured();
      if (file === null) return { ok: false, why: 'file', problems: [NO_FILE] };
      try {
        const { entry, text } = await changeFile(file, request, now());
        const problems = await inForce(file);
        return { ok: true, key: settingsOf(entry), text, inForce: problems.length === 0, problems };
      } catch (error) {
        return refusalOf(error);
      }
    },
  };
}

type Changed = Pick<KeyWithText, 'entry'> & { readonly text?: string };

async function changeFile(file: string, request: KeyRequest, now: number): Promise<Changed> {
  const { change, body } = request;
  switch (change) {
    case 'create':
      return await addKey(file, readCreate(body, now), now);
    case 'rotate':
      return await rotateText(file, request.id, readOverlap(body, now));
    case 'expire':
      return { entry: await setFields(file, request.id, { expires_at: readEnd(body, now) }) };
    case 'disable':
    case 'enable':
      readNothing(body);
      return { entry: await setFields(file, request.id, { state: change === 'enable' ? 'active' : 'disabled' }) };
    case 'delete':
      readNothing(body);
      return { entry: await removeKey(file, request.id) };
  }
}

/** INVARIANT: the id that was asked for is not repeated: it may be the text of a key. */
function refusalOf(error: unknown): KeyChanged {
  if (error instanceof ConfigError) {
    return {
      ...{ ok: false, why: 'file' },
      problems: ['the file of named keys has faults: nothing was changed', ...linesOf(error)],
    };
  }
  if (!(error instanceof KeyFault)) throw error;
  const { kind: why, problems, nearest } = error;
  if (why !== 'unknown') return { ok: false, why, problems };
  const suggestion = nearest === undefined ? '' : `, did you mean \`${nearest}\`?`;
  return { ok: false, why, problems: [`no key has this id${suggestion}`] };
}

function linesOf({ problems }: ConfigError): readonly string[] {
  return problems.map(({ place, message }) => `${place}: ${message}`);
}
