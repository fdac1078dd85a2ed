import { render, type VNode } from 'preact';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { Session } from '../api.ts';
import { onSessionEnd, problemsOf } from './api.ts';
import { frame } from './frame.ts';
import { loginAgain, loginPage } from './login.ts';
import { pageOf } from './routes.ts';
import { currentSession } from './session.ts';
import { button } from './view/buttons.ts';
import { dialog } from './view/dialog.ts';
import { el, use } from './view/dom.ts';
import { loading, problemsBox } from './view/parts.ts';
import { chosenTheme, setTheme } from './view/theme.ts';
import { isUnsaved } from './view/unsaved.ts';

setTheme(chosenTheme());

/** Time between two tries to reach the gateway, in milliseconds. */
const AGAIN_MS = 3000;

/**
 * The whole page. A page stays when its session ends: the form to log in stands over it, and what it asked for waits. The login of
 * another caller, or a log-out here, makes it anew.
 */
function App(): VNode | null {
  const [session, setSession] = useState<Session | undefined>(undefined);
  const [ended, setEnded] = useState(false);
  const [problems, setProblems] = useState<readonly string[]>([]);
  const [place, setPlace] = useState(location.hash);
  const [leavesFor, setLeavesFor] = useState<string | undefined>(undefined);
  const shown = useRef(place);
  const go = useCallback((next: string): void => {
    shown.current = next;
    setLeavesFor(undefined);
    setPlace(next);
  }, []);
  const waiting = useRef<(() => void)[]>([]);
  const begin = useCallback((next: Session): void => {
    setSession(next);
    setEnded(false);
    for (const go of waiting.current.splice(0)) go();
  }, []);
  const look = useCallback(async (): Promise<void> => {
    try {
      setSession(await currentSession());
      setProblems([]);
    } catch (error) {
      setProblems(problemsOf(error));
      setTimeout(look, AGAIN_MS);
    }
  }, []);
  useEffect(() => {
    onSessionEnd(() => {
      setEnded(true);
      return new Promise((resolve) => {
        waiting.current.push(resolve);
      });
    });
    void look();
    const follow = (): void => {
      const next = location.hash;
      if (!isUnsaved() || pageOf(next).path === pageOf(shown.current).path) {
        go(next);
        return;
      }
      // The page stays, and so does its place, until the question is answered.
      history.pushState(null, '', shown.current === '' ? '#/' : shown.current);
      setLeavesFor(next);
    };
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, [look, go]);
  if (problems.length > 0 && !session) return problemsBox(problems);
  if (!session) return loading('the console');
  if (!session.signed_in) return loginPage({ oidc: session.oidc, onSession: begin });
  const leave = (): void => {
    waiting.current = [];
    setSession(undefined);
    void look();
  };
  const page = use(pageOf(place).show, { key: `${session.name} ${session.role}`, session, place });
  return frame({
    session,
    place,
    onLeave: leave,
    page,
    over: ended
      ? loginAgain({ oidc: false, onSession: begin })
      : leavesFor === undefined
        ? null
        : askToLeave(
            () => setLeavesFor(undefined),
            () => {
              history.pushState(null, '', leavesFor);
              go(leavesFor);
            },
          ),
  });
}

function askToLeave(stay: () => void, leave: () => void): VNode {
  return dialog({
    title: 'Leave without the draft?',
    onClose: stay,
    children: [
      el('p', null, 'The draft on this page is kept nowhere else: it is lost when you leave.'),
      el(
        'div',
        { class: 'row' },
        button({ text: 'Stay', kind: 'main', onPress: stay }),
        button({ text: 'Leave, and lose it', kind: 'danger', onPress: leave }),
      ),
    ],
  });
}

const root = document.getElementById('app');
if (root) render(use(App, {}), root);
