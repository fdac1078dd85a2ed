import { textsIn } from '../../policy/access.ts';
import type { OfflineParts } from '../parts.ts';
import { type CollectionClass, sharedNames } from './collections.ts';
import type { Identity } from './principal-class.ts';

/**
 * The collections that one caller cannot tell apart, since nothing that decides on its requests mentions one of them without the others:
 * neither its own access nor rules, guards, limits and tenants. A verdict on one of them is that on all.
 */
export class AlikeNames {
  readonly #texts: readonly string[];
  readonly #known = new Map<string, string>();

  /** @param identities of the caller, the same for every collection */
  constructor(states: readonly OfflineParts[], identities: readonly Identity[]) {
    const own = identities.flatMap((identity) => ('access' in identity ? textsIn(identity.access) : []));
    this.#texts = [...new Set([...sharedNames(states.map(({ state }) => state)), ...own])];
  }

  /** The same text for names that are alike. */
  groupOf({ name }: Pick<CollectionClass, 'name'>): string {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const group = this.#texts.flatMap((text, at) => matchOf(text, name, at) ?? []).join();
    this.#known.set(name, group);
    return group;
  }
}

/** A text is the name itself, or begins it; the two differ, since natively a `*` is a character like others. */
function matchOf(text: string, name: string, at: number): string | undefined {
  if (text === name) return `=${at}`;
  return text.endsWith('*') && name.startsWith(text.slice(0, -1)) ? `${at}` : undefined;
}
