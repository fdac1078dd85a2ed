import fc from 'fast-check';
import t from 'tap';
import { REST_OPERATIONS } from '../../src/operations/rest.ts';
import { createResolver, type RestResolution } from '../../src/rest/resolve.ts';
import { runs } from '../support/generators/runs.ts';

const resolve = createResolver({ staticContent: true });
const withoutStatic = createResolver({ staticContent: false });

/** The parts a case compares: name, scope, target, path and the refusal's status. */
function shape(found: RestResolution): readonly unknown[] {
  const target = found.target.kind === 'collection' ? found.target.name : null;
  return [
    found.operation.name,
    found.operation.requires.scope,
    target,
    found.pathToSend,
    found.refusal?.status ?? null,
  ];
}

t.test('every row is found by its own path and method', async (t) => {
  for (const row of REST_OPERATIONS) {
    const path = row.path
      .replace('{collection}', 'a')
      .replace('{tail}', 'x/y.js')
      .replaceAll(/\{[a-z]+\}/g, '7');
    const found = resolve(row.method, path);
    t.equal(found.operation, row, `${row.method} ${row.path}`);
    t.equal(found.pathToSend, path, `${row.method} ${row.path} is sent as it came`);
    t.strictSame(
      found.target,
      row.path.includes('{collection}') ? { kind: 'collection', name: 'a' } : { kind: 'none' },
    );
  }
});

t.test('targets mean what upstream takes them for', async (t) => {
  const long = 'x'.repeat(256);
  const cases: readonly (readonly [name: string, method: string, target: string, ...expected: unknown[]])[] = [
    [
      'a query is kept, a fragment is cut',
      'GET',
      '/collections/a?x=%zz#y?z',
      'collections.get',
      'collection',
      'a',
      '/collections/a?x=%zz',
      null,
    ],
    [
      'a fragment before a question mark leaves no query',
      'GET',
      '/collections#a?b',
      'collections.list',
      'list',
      null,
      '/collections',
      null,
    ],
    [
      'runs of slashes are one',
      'GET',
      '//collections///a//exists//',
      'collections.exists',
      'collection',
      'a',
      '/collections/a/exists',
      null,
    ],
    [
      'literals are decoded once',
      'GET',
      '/c%6Fllections/a',
      'collections.get',
      'collection',
      'a',
      '/collections/a',
      null,
    ],
    [
      'literals are not decoded twice',
      'GET',
      '/c%256Fllections/a',
      'unlisted',
      'global',
      null,
      '/c%256Fllections/a',
      null,
    ],
    [
      'an escaped slash stays in its segment',
      'DELETE',
      '/collections/a/index/b%2Fc',
      'index.delete',
      'collection',
      'a',
      '/collections/a/index/b%2Fc',
      null,
    ],
    [
      'a collection name holds no slash',
      'GET',
      '/collections/a%2Fb',
      'collections.get',
      'collection',
      'a/b',
      '/collections/a%2Fb',
      422,
    ],
    ['a collection name holds no NUL', 'GET', '/collections/a%00', 'unlisted', 'global', null, '/', 422],
    ['a field name holds no NUL', 'DELETE', '/collections/a/index/b%00', 'unlisted', 'global', null, '/', 422],
    [
      '255 characters, not bytes',
      'GET',
      `/collections/${'%C3%A4'.repeat(255)}`,
      'collections.get',
      'collection',
      'ä'.repeat(255),
      `/collections/${'%C3%A4'.repeat(255)}`,
      null,
    ],
    [
      '256 characters are too many',
      'GET',
      `/collections/${long}`,
      'collections.get',
      'collection',
      long,
      `/collections/${long}`,
      422,
    ],
    ['a stray percent sign is refused', 'GET', '/collections/%%36%31', 'unlisted', 'global', null, '/', 400],
    ['overlong UTF-8 is refused', 'GET', '/collections/%C0%AF', 'unlisted', 'global', null, '/', 400],
    ['a lone surrogate is refused', 'GET', '/collections/%ED%A0%80', 'unlisted', 'global', null, '/', 400],
    ['a raw byte is refused', 'GET', '/collections/p\u00e4th', 'unlisted', 'global', null, '/', 400],
    [
      'a dot segment is no name',
      'GET',
      '/collections/%2e%2e/exists',
      'collections.exists',
      'collection',
      '..',
      '/collections/../exists',
      400,
    ],
    [
      'dots in a name are part of it',
      'GET',
      '/collections/..a/exists',
      'collections.exists',
      'collection',
      '..a',
      '/collections/..a/exists',
      null,
    ],
    [
      'a backslash is part of a name',
      'GET',
      '/collections/a\\b',
      'collections.get',
      'collection',
      'a\\b',
      '/collections/a%5Cb',
      null,
    ],
    [
      'a semicolon is part of a name',
      'GET',
      '/collections/a;b',
      'collections.get',
      'collection',
      'a;b',
      '/collections/a%3Bb',
      null,
    ],
    ['a plus is a plus', 'GET', '/collections/a+b', 'collections.get', 'collection', 'a+b', '/collections/a%2Bb', null],
    [
      'a literal goes before a parameter',
      'POST',
      '/collections/aliases',
      'aliases.update',
      'global',
      null,
      '/collections/aliases',
      null,
    ],
    [
      'a literal that leads nowhere is a name after all',
      'POST',
      '/collections/aliases/points/scroll',
      'points.scroll',
      'collection',
      'aliases',
      '/collections/aliases/points/scroll',
      null,
    ],
    [
      'another method is another row',
      'GET',
      '/collections/aliases',
      'collections.get',
      'collection',
      'aliases',
      '/collections/aliases',
      null,
    ],
    ['HEAD is not GET', 'HEAD', '/collections/a', 'unlisted', 'global', null, '/collections/a', null],
    ['methods are case-sensitive', 'get', '/collections/a', 'unlisted', 'global', null, '/collections/a', null],
    ['TRACE goes nowhere', 'TRACE', '/collections/a', 'unlisted', 'global', null, '/', null],
    ['a star is no path', 'OPTIONS', '*', 'unlisted', 'global', null, '/', null],
    [
      'an absolute target is reduced',
      'GET',
      'http://x:1/collections/a?b',
      'collections.get',
      'collection',
      'a',
      '/collections/a?b',
      null,
    ],
    ['an absolute target without path is the root', 'GET', 'http://x', 'service.root', 'public', null, '/', null],
    ['an open pattern is open', 'GET', '//healthz//?x#y', 'service.healthz', 'public', null, '/healthz?x', null],
    [
      'an escaped open pattern needs a credential',
      'GET',
      '/h%65althz',
      'service.healthz',
      'authenticated',
      null,
      '/healthz',
      null,
    ],
    [
      'an escaped web interface needs a credential',
      'GET',
      '/%64ashboard/x',
      'service.dashboard',
      'authenticated',
      null,
      '/dashboard/x',
      null,
    ],
    [
      'an escaped open pattern with another method is unknown',
      'POST',
      '/h%65althz',
      'unlisted',
      'global',
      null,
      '/healthz',
      null,
    ],
    ['other methods on an open pattern do not exist', 'POST', '/healthz', 'service.healthz', 'public', null, '/', 404],
    ['the web interface takes HEAD', 'HEAD', '/dashboard/x', 'service.dashboard', 'public', null, '/dashboard/x', null],
    ['the web interface takes nothing else', 'POST', '/dashboard/x', 'service.dashboard', 'public', null, '/', 405],
    [
      'no backslash leaves the web interface',
      'GET',
      '/dashboard\\..\\collections',
      'unlisted',
      'global',
      null,
      '/dashboard%5C..%5Ccollections',
      null,
    ],
    [
      'no backslash below the web interface',
      'GET',
      '/dashboard/..\\collections',
      'service.dashboard',
      'public',
      null,
      '/',
      400,
    ],
    [
      'no escaped backslash below the web interface',
      'GET',
      '/dashboard/..%5ccollections',
      'service.dashboard',
      'public',
      null,
      '/',
      400,
    ],
    [
      'no dot segment below the web interface',
      'GET',
      '/dashboard/%2e%2e/collections',
      'service.dashboard',
      'public',
      null,
      '/',
      404,
    ],
    [
      'no malformed escape below the web interface',
      'GET',
      '/dashboard/%zz',
      'service.dashboard',
      'public',
      null,
      '/',
      400,
    ],
    [
      'a name below the web interface is decoded once',
      'GET',
      '/dashboard/a%20b.txt',
      'service.dashboard',
      'public',
      null,
      '/dashboard/a%20b.txt',
      null,
    ],
  ];
  for (const [name, method, target, ...expected] of cases) t.strictSame(shape(resolve(method, target)), expected, name);
});

t.test('without static content the web interface is an unknown path', async (t) => {
  for (const target of ['/dashboard', '/dashboard/x', '/%64ashboard', '/dashboard/../collections']) {
    const found = withoutStatic('GET', target);
    t.strictSame(found.operation.unlisted, true, target);
    t.strictSame(found.operation.withheld, true, `${target} is never sent`);
  }
  t.equal(withoutStatic('GET', '/healthz').operation.requires.scope, 'public', 'the other open patterns stay open');
});

const piece = fc.constantFrom(
  ...['collections', 'a', 'points', 'dashboard', 'healthz', 'aliases', '/', '//', '.', '..', '%2e', '%2F', '%5c', '\\'],
  ...[
    '%',
    '%25',
    '%00',
    '%zz',
    '%c3%a4',
    '?',
    '#',
    ';',
    '+',
    ' ',
    '"',
    'exists',
    'snapshots',
    'shards',
    '\u00e4',
    '%63',
  ],
);
const target = fc.oneof(
  fc.array(piece, { maxLength: 14 }).map((parts) => `/${parts.join('')}`),
  fc.string({ unit: 'binary' }),
);
const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'TRACE', 'get');

t.test('whatever the target, what is sent is canonical and means the same again', async (t) => {
  fc.assert(
    fc.property(method, target, (verb, text) => {
      const found = resolve(verb, text);
      const [path = '', ...query] = found.pathToSend.split('?');
      if (!/^(\/|(\/[A-Za-z0-9\-._~!'()*%]+)+)$/.test(path)) throw new Error(`not canonical: ${path}`);
      if (found.refusal || found.operation.withheld) return;
      if (path.split('/').some((segment) => segment === '.' || segment === '..')) throw new Error(`dots: ${path}`);
      const again = resolve(verb, found.pathToSend);
      if (again.operation.name !== found.operation.name || again.pathToSend !== found.pathToSend) {
        throw new Error(`${text} means ${found.operation.name}, then ${again.operation.name}`);
      }
      if (JSON.stringify(again.target) !== JSON.stringify(found.target)) throw new Error(`${text} changes its target`);
      if (query.join('?') !== '' && !text.includes(query.join('?'))) throw new Error(`${text} changes its query`);
    }),
    { numRuns: runs(20_000) },
  );
  t.pass('held');
});

t.test('nothing but the open patterns themselves is open', async (t) => {
  const open = /^\/*(healthz|livez|readyz|dashboard(\/[^?#]*)?)?\/*([?#].*)?$/s;
  fc.assert(
    fc.property(method, target, (verb, text) => {
      const found = resolve(verb, text);
      if (found.operation.requires.scope !== 'public') return;
      if (!open.test(text)) throw new Error(`${text} is open`);
      const sent = found.pathToSend.split('?')[0] ?? '';
      if (!found.refusal && !/^\/(healthz|livez|readyz|dashboard(\/.*)?)?$/.test(sent))
        throw new Error(`${text} goes to ${sent}`);
    }),
    { numRuns: runs(20_000) },
  );
  t.pass('held');
});
