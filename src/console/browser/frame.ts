import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { problemsOf } from './api.ts';
import type { SignedIn } from './place.ts';
import { pageOf, ROUTES } from './routes.ts';
import { logOut } from './session.ts';
import { button } from './view/buttons.ts';
import { classes, el, use } from './view/dom.ts';
import { icon, mark } from './view/icons.ts';
import { badge, problemsBox } from './view/parts.ts';
import { chosenTheme, setTheme, type Theme } from './view/theme.ts';

export interface FrameProps {
  readonly session: SignedIn;
  readonly place: string;
  readonly page: VNode;
  /** The form to log in, over the page; null = none. */
  readonly over: VNode | null;
  readonly onLeave: () => void;
}

/** Menu and page. */
export function frame(props: FrameProps): VNode {
  return use(Frame, props);
}

function Frame({ session, place, page, over, onLeave }: FrameProps): VNode {
  const [open, setOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  const { path, title } = pageOf(place);
  useEffect(() => {
    document.title = `${title} · Qdrant Gateway`;
    setOpen(false);
    if (isFirst.current) isFirst.current = false;
    else {
      scrollTo(0, 0);
      main.current?.querySelector('h1')?.focus();
    }
  }, [path]);
  return el(
    'div',
    { class: 'frame' },
    el('a', { class: 'skip', href: path, onClick: (event) => skip(event, main.current) }, 'Skip to the page'),
    el(
      'div',
      { class: 'bar' },
      el('div', { class: 'brand' }, mark(), title),
      el(
        'button',
        {
          type: 'button',
          class: 'icon-only',
          'aria-expanded': open,
          'aria-controls': 'menu',
          'aria-label': 'Menu',
          onClick: () => setOpen(!open),
        },
        icon(open ? 'close' : 'menu'),
      ),
    ),
    el(
      'div',
      { class: classes('side', open && 'open'), id: 'menu' },
      el(
        'div',
        { class: 'brand' },
        mark(),
        el('span', null, 'Qdrant Gateway', el('small', null, `Console ${session.gateway_version}`)),
      ),
      menu(path, session),
      use(Who, { session, onLeave }),
    ),
    el('main', { ref: main }, page),
    over,
  );
}

function skip(event: Event, main: HTMLElement | null): void {
  event.preventDefault();
  main?.querySelector('h1')?.focus();
}

function menu(path: string, session: SignedIn): VNode {
  return el(
    'nav',
    { 'aria-label': 'Pages' },
    el(
      'ul',
      null,
      ROUTES.map((route) =>
        el(
          'li',
          null,
          el(
            'a',
            { href: route.path, ...(route.path === path && { 'aria-current': 'page' as const }) },
            icon(route.symbol),
            route.title,
          ),
        ),
      ),
      session.web_ui !== null && [
        el('li', { class: 'rule', 'aria-hidden': 'true' }),
        el(
          'li',
          null,
          el(
            'a',
            { href: session.web_ui, target: '_blank', rel: 'noopener' },
            icon('webui'),
            'Qdrant Web UI',
            el('span', { class: 'unseen' }, ' (new tab)'),
          ),
        ),
      ],
    ),
  );
}

const THEMES = [
  ['auto', 'Theme of the system', 'auto'],
  ['light', 'Light theme', 'sun'],
  ['dark', 'Dark theme', 'moon'],
] as const;

function Who({ session, onLeave }: { readonly session: SignedIn; readonly onLeave: () => void }): VNode {
  const [theme, choose] = useState<Theme>(chosenTheme);
  const [problems, setProblems] = useState<readonly string[]>([]);
  const leave = async (): Promise<void> => {
    try {
      await logOut();
      onLeave();
    } catch (error) {
      setProblems(problemsOf(error));
    }
  };
  return el(
    'div',
    { class: 'who' },
    el(
      'div',
      { class: 'name' },
      el('small', null, 'Logged in as'),
      session.name,
      ' ',
      badge('accent', session.role === 'full' ? 'full' : 'read-only'),
    ),
    problemsBox(problems),
    el(
      'div',
      { class: 'row' },
      el(
        'div',
        { class: 'themes', role: 'group', 'aria-label': 'Theme' },
        THEMES.map(([one, text, symbol]) =>
          el(
            'button',
            {
              ...{ type: 'button', title: text, 'aria-label': text, 'aria-pressed': theme === one },
              onClick: () => {
                setTheme(one);
                choose(one);
              },
            },
            icon(symbol),
          ),
        ),
      ),
      button({ text: 'Log out', symbol: 'out', small: true, onPress: () => void leave() }),
    ),
  );
}
