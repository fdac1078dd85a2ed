import type { VNode } from 'preact';
import { Audit } from './pages/audit.ts';
import { Overview } from './pages/overview.ts';
import { Tokens } from './pages/tokens.ts';
import type { PageProps } from './place.ts';
import type { IconName } from './view/icons.ts';

export interface Route {
  readonly path: string;
  readonly title: string;
  readonly symbol: IconName;
  readonly show: (props: PageProps) => VNode;
}

/** All pages, in the order of the menu. */
export const ROUTES: readonly [Route, ...Route[]] = [
  { path: '#/', title: 'Overview', symbol: 'overview', show: Overview },
  { path: '#/tokens', title: 'Tokens', symbol: 'tokens', show: Tokens },
  { path: '#/audit', title: 'Audit', symbol: 'audit', show: Audit },
];

/** The page at a place; an unknown place is the first page. */
export function pageOf(place: string): Route {
  const path = place.split('?')[0];
  return ROUTES.find((route) => route.path === path) ?? ROUTES[0];
}
