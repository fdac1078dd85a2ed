import { readFileSync } from 'node:fs';

/** Published modules that pages import, by the name in the import; as they are, without a build. */
const VENDOR = {
  preact: ['preact.js', 'preact'],
  'preact/hooks': ['preact-hooks.js', 'preact/hooks'],
  uplot: ['uplot.js', 'uplot/dist/uPlot.esm.js'],
} as const satisfies Readonly<Record<string, readonly [file: string, specifier: string]>>;

const STYLE = ['uplot.css', 'uplot/dist/uPlot.min.css'] as const;

/** A file by the name that it is served under, below the folder of assets. */
export type Files = ReadonlyMap<string, string>;

/** Reads the published modules. Throws if one is not installed. */
export function readVendor(): Files {
  const all = [...Object.values(VENDOR), STYLE];
  return new Map(all.map(([file, specifier]) => [`vendor/${file}`, readPackaged(specifier)]));
}

function readPackaged(specifier: string): string {
  return readFileSync(new URL(import.meta.resolve(specifier)), 'utf8');
}

/**
 * The text of a module whose imports of packages name the files that are served. INVARIANT: an import of a package that is not listed
 * is refused here, at the start, and not in a browser.
 *
 * @param up relative path from the module to the folder of assets, for example `../`
 * @throws TypeError for another package
 */
export function withVendorPaths(text: string, up: string, name: string): string {
  return text.replace(IMPORTED, (whole, before: string, quote: string, specifier: string) => {
    if (specifier.startsWith('.')) return whole;
    if (!isListed(specifier)) throw new TypeError(`${name} imports \`${specifier}\`, which is not served`);
    return `${before}${quote}${up}vendor/${VENDOR[specifier][0]}${quote}`;
  });
}

const isListed = (name: string): name is keyof typeof VENDOR => name in VENDOR;

/** `import … from '…'`, `export … from '…'`, `import '…'`: the only forms that the pages use. */
const IMPORTED = /((?:^|[\s;}])(?:import|export)\s*(?:[\w$*\s{},]*?\bfrom\s*)?)(["'])([^"'\n]+)\2/g;
