import type { Session } from '../api.ts';

/** A session that is open. */
export type SignedIn = Extract<Session, { readonly signed_in: true }>;

/** The properties of each page. */
export interface PageProps {
  readonly session: SignedIn;
  /** The part of the address behind `#`. */
  readonly place: string;
}

/** The parameters behind `?` in a place. */
export function parametersOf(place: string): URLSearchParams {
  return new URLSearchParams(place.split('?')[1] ?? '');
}
