/** Light, dark, or as the system has it. */
export type Theme = 'auto' | 'light' | 'dark';

const PLACE = 'qdrant-gateway-console-theme';

/** The choice of the reader; it is kept in this browser. It is all that is kept there. */
export function chosenTheme(): Theme {
  try {
    const kept = localStorage.getItem(PLACE);
    return kept === 'light' || kept === 'dark' ? kept : 'auto';
  } catch {
    return 'auto';
  }
}

/** Shows a theme and keeps it. */
export function setTheme(theme: Theme): void {
  if (theme === 'auto') document.documentElement.removeAttribute('data-theme');
  else document.documentElement.dataset.theme = theme;
  try {
    if (theme === 'auto') localStorage.removeItem(PLACE);
    else localStorage.setItem(PLACE, theme);
  } catch {
    // Without storage the choice holds for this page.
  }
}
