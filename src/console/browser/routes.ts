import type { VNode } from 'preact';
import { Access } from './pages/access.ts';
import { Audit } from './pages/audit.ts';
import { Keys } from './pages/keys.ts';
import { Overview } from './pages/overview.ts';
import { Policy } from './pages/policy.ts';
import { Sessions } from './pages/sessions.ts';
import { Tokens } from './pages/tokens.ts';
import { TryIt } from './pages/try.ts';
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
  { path: '#/keys', title: 'Keys', symbol: 'keys', show: Keys },
  { path: '#/access', title: 'Access', symbol: 'access', show: Access },
  { path: '#/try', title: 'Try it', symbol: 'try', show: TryIt },
  { path: '#/audit', title: 'Audit', symbol: 'audit', show: Audit },
  { path: '#/policy', title: 'Policy', symbol: 'policy', show: Policy },
  { path: '#/sessions', title: 'Sessions', symbol: 'sessions', show: Sessions },
];

/** The page at a place; an unknown place is the first page. */
export function pageOf(place: string): Route {
  const path = place.split('?')[0];
  return ROUTES.find((route) => route.path === path) ?? ROUTES[0];
}
