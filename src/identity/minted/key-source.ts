import type { Access } from '../../policy/access.ts';
import { type Denial, TOKEN_SOURCE_GONE } from '../../policy/denial.ts';
import type { KeyHash } from '../../policy/named-key.ts';
import type { NamedKeys, Presented } from '../named-keys.ts';
import type { Principal } from '../principal.ts';
import { childOf } from './child.ts';
import { namedPrint } from './print.ts';

/** The claims of a minted token about the named key that it stands for. */
export interface KeySourceSettings {
  /** Id of the named key. */
  readonly key: string;
  readonly print: string;
  /** The secret that signed the token. */
  readonly secret: Uint8Array;
  readonly bound: Access;
  /** The token's `jti`. */
  readonly id: string;
  /** The refusal of tokens with this access. */
  readonly refuses: (access: Access) => Denial | undefined;
}

/** The named key that a minted token stands for. INVARIANT: the key is asked on each request, as if its text were presented. */
export class KeySource {
  readonly kind = 'key-source';
  readonly #settings: KeySourceSettings;
  /** By identity: unchanged keys keep their hashes. */
  readonly #known = new WeakMap<KeyHash, boolean>();
  #made: { readonly of: Principal; readonly principal: Principal } | undefined;

  constructor(settings: KeySourceSettings) {
    this.#settings = settings;
  }

  /** The principal of the token now, or the refusal of the key. */
  principal(named: NamedKeys | undefined, by: Pick<Presented, 'remote' | 'now'>): Principal | Denial {
    const { key, bound, id, refuses } = this.#settings;
    const source = named?.standsFor(key, this.#isIts, by) ?? TOKEN_SOURCE_GONE;
    if (source.kind === 'denial') return source;
    if (this.#made?.of !== source) this.#made = { of: source, principal: childOf(source, bound, id) };
    const { principal } = this.#made;
    return refuses(principal.access) ?? principal;
  }

  readonly #isIts = (stored: KeyHash): boolean => {
    const { print, secret } = this.#settings;
    const known = this.#known.get(stored) ?? namedPrint(secret, stored) === print;
    this.#known.set(stored, known);
    return known;
  };
}
