import { useEffect } from 'preact/hooks';

/** Pages that hold something that is kept nowhere else. */
const open = new Set<object>();

const warn = (event: BeforeUnloadEvent): void => event.preventDefault();

/** True = something would be lost with the page. */
export function isUnsaved(): boolean {
  return open.size > 0;
}

/** While it holds, the page is left only after a question, also by the browser. */
export function useUnsaved(holds: boolean): void {
  useEffect(() => {
    if (!holds) return undefined;
    const own = {};
    open.add(own);
    addEventListener('beforeunload', warn);
    return () => {
      open.delete(own);
      if (open.size === 0) removeEventListener('beforeunload', warn);
    };
  }, [holds]);
}
