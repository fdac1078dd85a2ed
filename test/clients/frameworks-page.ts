import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/*
 * docs/reference/frameworks.md, made from what the frameworks did (`npm run test:frameworks -- --write`).
 */

export const FRAMEWORKS_PAGE = join(import.meta.dirname, '../../docs/reference/frameworks.md');
export const FRAMEWORKS_RECORD = join(import.meta.dirname, 'frameworks.json');

export interface FrameworkRow {
  readonly framework: string;
  readonly caller: string;
  /** `works`, or what the gateway said. */
  readonly outcome: string;
}

/** The releases that are installed for the test. */
const releases = (): string =>
  readFileSync(join(import.meta.dirname, 'python/frameworks.txt'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => `${line.replace('==', ' ')}`)
    .join(', ');

/** What each is asked to do, by its name in the record. */
const DOES: Readonly<Record<string, string>> = {
  'create and go on, REST': 'creates the collection without asking, and goes on if it is said to exist',
  'create and go on, gRPC': 'the same over gRPC',
  'langchain-qdrant, REST': 'adds a text, searches, and opens the store by `from_texts`',
  'langchain-qdrant, gRPC': 'the same with `prefer_grpc`',
  mem0ai: 'opens the store, inserts and searches',
  'llama-index': 'adds a node',
  haystack: 'opens the store, writes a document and counts',
  'mcp-server-qdrant': 'makes sure that its collection exists, as its tools do first',
};

/** The whole page. */
export function frameworksPage(rows: readonly FrameworkRow[]): string {
  const callers = [...new Set(rows.map(({ caller }) => caller))];
  const names = [...new Set(rows.map(({ framework }) => framework))];
  const outcome = (framework: string, caller: string): string => {
    const found = rows.find((row) => row.framework === framework && row.caller === caller)?.outcome ?? '';
    return found === 'works' ? found : `403 \`${found}\``;
  };
  return [
    '# Frameworks',
    '',
    'For developers whose framework keeps its vectors in Qdrant: which key or token is enough. Made by',
    '`npm run test:frameworks -- --write`, which runs each framework through a gateway with a key or token for one collection.',
    '',
    `Tried: ${releases()}.`,
    '',
    '| framework | what it does in the test |',
    '|---|---|',
    ...names.map((name) => `| ${name} | ${DOES[name] ?? ''} |`),
    '',
    `| framework | ${callers.join(' | ')} |`,
    `|---|${callers.map(() => '---|').join('')}`,
    ...names.map((name) => `| ${name} | ${callers.map((caller) => outcome(name, caller)).join(' | ')} |`),
    '',
    'Tokens find the collection there; with the named key the first program makes it. `create and go on` stands for programs that are no',
    'framework: it uses the Python client.',
    '',
    '- **Simplest for an operator** is a [named key](../guides/keys.md) for a prefix that may create there:',
    '  `--access \'[{"collections":["mine*"],"access":"rw","manage":["create"]}]\'`. The framework makes its collection at the first start.',
    '- **A token** lists one collection, which an admin creates before. Frameworks that ask first whether it is there go on; programs that create',
    '  at once need [`create_existing`](../guides/operating.md#programs-that-create-their-collection).',
    '- **Reading alone** (`r`): give it to programs that only search. A framework that writes when it opens its store is refused there.',
    '- **Payload indexes** need `rw`. Where a framework makes them when it starts, make them once as an admin and use `prw` afterwards.',
    '- **Deleting and making the collection anew** (`force_recreate`, `recreate_index`, `reset`) needs global manage, or a key with `create` and `delete`.',
    '- **The key** goes into the option `api_key` of the framework or of its client, the CA into the [client](clients.md).',
    '',
  ].join('\n');
}
