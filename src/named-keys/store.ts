import type { Clock } from '../config/files/clock.ts';
import { settingsOf } from '../config/keys/file.ts';
import { ConfigError } from '../config/problem.ts';
import type { NamedKeySettings } from '../policy/named-key.ts';
import { addKey, type KeyWithText, removeKey, rotateText, setFields } from './changes.ts';
import type { KeyStorage } from './edit.ts';
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

/** Changes the named keys of a running gateway. */
export interface KeyStore {
  /** See `Operator.changeKey`. */
  readonly change: (request: KeyRequest) => Promise<KeyChanged>;
}

/** Where the named keys of a running gateway are kept. */
export interface KeyPlace {
  /** The file, or the kind of store. */
  readonly name: string;
  readonly storage: KeyStorage;
  /** Reads the storage and puts it in force. Never rejects. */
  readonly apply: () => Promise<{ readonly ok: true } | { readonly ok: false; readonly problems: readonly string[] }>;
}

export interface KeyStoreOptions {
  /** The place in force; `null` = there is none. */
  readonly place: () => KeyPlace | null;
  /** The limits of the policy in force. */
  readonly limits: () => readonly { readonly id: string }[];
  /** Ids of callers of other kinds in the policy in force. */
  readonly taken: () => ReadonlySet<string>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly clock: Clock;
}

/** Longest wait for a change to be in force, in milliseconds; then it is answered that it is not yet. */
const IN_FORCE_MS = 4_000;
const NO_PLACE = 'no store of named keys is configured: set `gateway.keys_file` or `gateway.shared.keys`';
const NOT_YET = 'the gateway has not read its named keys yet';

/** A store over the configured place, written as `qdrant-gateway key` writes it. */
export function createKeyStore({ place: configured, limits, taken, now, clock }: KeyStoreOptions): KeyStore {
  const inForce = async ({ name, apply }: KeyPlace): Promise<readonly string[]> => {
    const applied = await Promise.race([apply(), clock.idle(IN_FORCE_MS)]);
    if (!applied) return [NOT_YET];
    if (!applied.ok) return applied.problems;
    return configured()?.name === name ? [] : ['`gateway.keys_file` names another file by now'];
  };
  return {
    async change(request) {
      const place = configured();
      if (place === null) return { ok: false, why: 'file', problems: [NO_PLACE] };
      try {
        const { entry, text } = await change(place.storage, request, { now: now(), limits: limits(), taken: taken() });
        const problems = await inForce(place);
        return { ok: true, key: settingsOf(entry), text, inForce: problems.length === 0, problems };
      } catch (error) {
        return refusalOf(error);
      }
    },
  };
}

type Changed = Pick<KeyWithText, 'entry'> & { readonly text?: string };

/** The time, and the limits and ids that a new key is compared with. */
interface Around {
  readonly now: number;
  readonly limits: readonly { readonly id: string }[];
  readonly taken: ReadonlySet<string>;
}

async function change(storage: KeyStorage, request: KeyRequest, { now, limits, taken }: Around): Promise<Changed> {
  const { body } = request;
  switch (request.change) {
    case 'create':
      return await addKey(storage, readCreate(body, now), now, limits, taken);
    case 'rotate':
      return await rotateText(storage, request.id, readOverlap(body, now), now);
    case 'expire':
      return { entry: await setFields(storage, request.id, { expires_at: readEnd(body, now) }) };
    case 'disable':
    case 'enable':
      readNothing(body);
      return {
        entry: await setFields(storage, request.id, { state: request.change === 'enable' ? 'active' : 'disabled' }),
      };
    case 'delete':
      readNothing(body);
      return { entry: await removeKey(storage, request.id) };
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
