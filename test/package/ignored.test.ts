import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { DEMO_FOLDER } from '../../src/cli/demo/demo.ts';

/* The documents tell people where to put keys and certificates. None of these places gets into the repository, the image or the package. */
const ROOT = join(import.meta.dirname, '../..');

/** A relative path of a key or certificate in a text: by the end of its name, or by its folder. */
const SECRET =
  /(?<![\w./:@$~{}*-])(?:\.\/)?((?:[\w.-]+\/)*(?:[\w.-]+\.(?:pem|crt|key|p12|pfx)|(?:secrets|tls)\/[\w.-]*[\w-]))(?![\w/])/g;
/** Where a command writes what it has drawn: `openssl rand ... > path`. */
const DRAWN = /openssl rand [^\n|>]*>\s*"?([\w./-]+)/g;
/** A folder of the host that the gateway writes. */
const STATE = /-v \.\/([\w-]+):\/var\/lib\/qdrant-gateway/g;
/** Options and members of Secrets that look like files. */
const NO_FILES = ['tls.cert', 'tls.key', 'tls.crt', 'ca.crt', 'gateway.key'];

/** Paths that a text tells to put secrets at, relative to a folder of the project or of a user. */
function secretPaths(text: string): readonly string[] {
  const found = [...text.matchAll(SECRET), ...text.matchAll(DRAWN)].map(([, path = '']) => path.replace(/^\.\//, ''));
  found.push(...[...text.matchAll(STATE)].map(([, folder = '']) => `${folder}/acme/account.json`));
  // An absolute path is outside of a checkout.
  return [...new Set(found)].filter((path) => !path.startsWith('/') && !NO_FILES.includes(path));
}

/** Documents with the folder that their paths are relative to. */
function documents(): readonly (readonly [file: string, place: string])[] {
  const below = (folder: string, end: RegExp) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => end.test(name))
      .map((name) => `${folder}/${name}`);
  return [
    ...['README.md', 'SECURITY.md', ...below('docs', /\.md$/), 'config/README.md', 'certs/README.md'].map(
      (file) => [file, ''] as const,
    ),
    ...below('config', /\.ya?ml$/).map((file) => [file, ''] as const),
    ...below('docker', /\.(ya?ml|md|service)$/).map((file) => [file, 'docker/'] as const),
  ];
}

/** Those that git would take. `undefined` = no git, or no checkout. */
function taken(paths: readonly string[]): readonly string[] | undefined {
  const args = ['check-ignore', '--no-index', '--stdin', '-z', '--non-matching', '--verbose'];
  try {
    const input = paths.join('\0');
    const out = execFileSync('git', args, { cwd: ROOT, input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] });
    const parts = out.split('\0');
    return paths.filter((path) => parts[parts.indexOf(path) - 3] === '');
  } catch (error) {
    // 1 = none is ignored.
    return Object(error).status === 1 ? paths : undefined;
  }
}

t.test('paths of secrets are found in a text', async (t) => {
  const text = [
    'mkdir -p secrets && openssl rand -base64 36 > secrets/api-key && chmod 600 secrets/api-key',
    '`QDRANT__TLS__KEY=tls/key.pem` and `--cert ./own/cert.crt`, not /etc/ssl/a.pem, https://x/y.pem or `tls.key`',
    'openssl rand -base64 36 > admin-token',
    'docker run -v ./kept:/var/lib/qdrant-gateway qdrant-gateway',
  ].join('\n');
  t.strictSame(secretPaths(text), [
    ...['secrets/api-key', 'tls/key.pem', 'own/cert.crt', 'admin-token'],
    'kept/acme/account.json',
  ]);
});

const places = documents().flatMap(([file, place]) =>
  secretPaths(readFileSync(join(ROOT, file), 'utf8')).map((path) => ({ file, path: `${place}${path}` })),
);
/** Written by commands, beside what they put their own `.gitignore` into. */
const WRITTEN = [`${DEMO_FOLDER}/keys.json`, 'qdrant-gateway-secrets.yaml', '.env', 'docker/.env', 'acme/account.json'];
const all = [...new Set([...places.map(({ path }) => path), ...WRITTEN])];

t.test('git takes none of the places that the documents name', async (t) => {
  t.ok(places.length > 15, `${places.length} places are named`);
  const broken = taken(['src/index.ts', 'tls/key.pem']);
  if (broken === undefined) return t.comment('not a git checkout');
  t.strictSame(broken, ['src/index.ts'], 'the rule finds what git takes');
  const files = (taken(all) ?? []).map((path) => `${path}, in ${places.find((one) => one.path === path)?.file}`);
  t.strictSame(files, []);
});

/** Does a list of `!name` after `*` let a path into the build of the image? */
function reachesImage(path: string, rules: readonly string[]): boolean {
  return rules.some((rule) => rule.startsWith('!') && (path === rule.slice(1) || path.startsWith(`${rule.slice(1)}/`)));
}

t.test('neither the image nor the package takes one', async (t) => {
  const rules = readFileSync(join(ROOT, 'docker/Dockerfile.dockerignore'), 'utf8').split('\n');
  t.equal(
    rules.find((rule) => rule !== '' && !rule.startsWith('#')),
    '*',
    'nothing is taken but what is named',
  );
  t.strictSame([reachesImage('src/a.pem', rules), reachesImage('srcs/a.pem', rules)], [true, false]);
  t.strictSame(
    all.filter((path) => reachesImage(path, rules)),
    [],
    'the image',
  );
  const { files }: { files: string[] } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const pattern = (glob: string) =>
    new RegExp(
      `^${glob
        .replaceAll('.', '\\.')
        .replace('**/', '(.+/)?')
        .replaceAll(/(?<!\))\*/g, '[^/]*')}$`,
    );
  const patterns = files.map(pattern);
  const isPacked = (path: string) => patterns.some((one) => one.test(path));
  t.strictSame(['docs/a/b.md', 'config/policy.yaml', 'config/tls.key'].map(isPacked), [true, true, false]);
  t.strictSame(all.filter(isPacked), [], 'the package');
});
