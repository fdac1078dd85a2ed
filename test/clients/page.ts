import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLIENTS, type Client, releaseOf } from './clients.ts';
import { STEPS, STRANGER } from './steps.ts';

/*
 * docs/reference/clients.md, made from the programs and from what they showed (`npm run test:clients -- --write`).
 */

export const PAGE = join(import.meta.dirname, '../../docs/reference/clients.md');

/** What each client showed when it ran last. */
export const RECORD = join(import.meta.dirname, 'shown.json');

export interface Recorded {
  readonly release: string;
  /** By step, where it was not done. */
  readonly shown: Readonly<Record<string, string>>;
}

/** The record; empty where there is none. */
export function recorded(): Readonly<Record<string, Recorded>> {
  return existsSync(RECORD) ? JSON.parse(readFileSync(RECORD, 'utf8')) : {};
}

/** What a reader needs beside the outputs: how the CA is given, where an error has the gateway's text, and code to copy. */
interface Told {
  readonly title: string;
  readonly ca: string;
  readonly text: string;
  readonly language: string;
  /** The part of the program that connects: its file, and its first and last line. */
  readonly code: readonly [file: string, first: string, last: string];
}

const PYTHON: Omit<Told, 'title' | 'text'> = {
  ca: '`verify="ca.pem"`',
  language: 'python',
  code: ['python/main.py', 'def client(key):', '    )  # fmt: skip'],
};

const TOLD: Readonly<Record<string, Told>> = {
  curl: {
    title: 'curl',
    ca: '`--cacert ca.pem`',
    text: 'the body; `-f` hides it',
    language: 'bash',
    code: ['curl/tutorial.sh', 'ask() {', '}'],
  },
  python: { ...PYTHON, title: 'Python, REST', text: '`error.content`, with `error.status_code`' },
  'python-async': { ...PYTHON, title: 'Python, asynchronous', text: '`error.content`, with `error.status_code`' },
  'python-grpc': {
    ...PYTHON,
    title: 'Python, gRPC',
    ca: '`GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=ca.pem`, set before the first call; `verify` is for REST alone',
    text: '`error.details()`, with `error.code()`',
  },
  'typescript-rest': {
    title: 'TypeScript, REST',
    ca: '`NODE_EXTRA_CA_CERTS=ca.pem`, read when Node starts',
    text: '`error.data`, with `error.status`: the message is the status alone',
    language: 'ts',
    code: ['typescript/rest.ts', '  const client = new QdrantClient({', '  });'],
  },
  'typescript-grpc': {
    title: 'TypeScript, gRPC',
    ca: '`NODE_EXTRA_CA_CERTS=ca.pem`, read when Node starts',
    text: '`error.rawMessage`, with `error.code`',
    language: 'ts',
    code: ['typescript/grpc.ts', '  const client = new QdrantClient({', '  });'],
  },
  go: {
    title: 'Go',
    ca: '`TLSConfig.RootCAs`',
    text: '`status.FromError(err)`; its message begins with words of the client',
    language: 'go',
    code: ['go/main.go', 'func client(key string) *qdrant.Client {', '}'],
  },
  rust: {
    title: 'Rust',
    ca: '`SSL_CERT_FILE=ca.pem`: the client has no option for it, and this replaces the roots of the system',
    text: '`QdrantError::ResponseError { status }`: `status.message()`, with `status.code()`',
    language: 'rust',
    code: ['rust/src/main.rs', 'fn client(key: Option<&str>) -> Qdrant {', '}'],
  },
  java: {
    title: 'Java',
    ca: '`TlsChannelCredentials` with `trustManager(new File("ca.pem"))`',
    text: '`Status.fromThrowable(error)`, with `getDescription()` and `getCode()`',
    language: 'java',
    code: [
      'java/src/main/java/Tutorial.java',
      '  private static QdrantClient client(String key) throws IOException {',
      '  }',
    ],
  },
  csharp: {
    title: 'C#',
    ca: "`SslOptions.CertificateChainPolicy` of the channel's handler",
    text: '`error.Status.Detail`, with `error.StatusCode`',
    language: 'csharp',
    code: ['csharp/Program.cs', 'static QdrantClient Client(string? key)', '}'],
  },
};

/** The steps whose outputs the page shows: one of each kind. */
const SHOWN: readonly (readonly [step: string, heading: string])[] = [
  ['no key', 'without a key'],
  ['a wrong key', 'with a wrong key'],
  ['an expired token', 'with a token that has expired'],
  ['token reads another collection', 'a token that does not list the collection'],
  ['reader deletes a point', 'the read-only key deletes a point'],
  ['the CA is not trusted', 'the CA is not trusted'],
  ['gateway is away', 'the gateway is stopped'],
];

function toldOf({ name }: Client): Told {
  const told = TOLD[name];
  if (told === undefined) throw new Error(`nothing is told of the client ${name}`);
  return told;
}

/** The lines from the first to the last one, both included, without the blanks that all begin with. */
function excerpt([file, first, last]: Told['code']): string {
  const lines = readFileSync(join(import.meta.dirname, file), 'utf8').split('\n');
  const from = lines.indexOf(first);
  const to = lines.indexOf(last, from);
  if (from === -1 || to === -1) throw new Error(`${file} has no \`${first}\``);
  const indent = /^ */.exec(first)?.[0].length ?? 0;
  return lines
    .slice(from, to + 1)
    .map((line) => line.slice(Math.min(indent, line.search(/\S|$/))))
    .join('\n');
}

function section(client: Client, known: Recorded | undefined): string {
  const told = toldOf(client);
  const file = told.code[0];
  const outputs =
    known === undefined
      ? ['Its program has not been run yet: it needs `dotnet`.', '']
      : [
          '| call | what the client shows |',
          '|---|---|',
          ...SHOWN.map(([step, heading]) => row(heading, known, step)),
          '',
        ];
  return [
    `## ${told.title}`,
    '',
    `From [the program](../../test/clients/${file}), which reads keys, CA and ports from its environment:`,
    '',
    `\`\`\`${told.language}`,
    excerpt(told.code),
    '```',
    '',
    ...outputs,
  ].join('\n');
}

function row(heading: string, { shown }: Recorded, step: string): string {
  return `| ${heading} | \`${(shown[step] ?? '').replaceAll('|', '\\|').replaceAll('`', "'")}\` |`;
}

const TOP = `# Clients

For developers whose programs talk to Qdrant through the gateway: how each official client gets the CA and the key, and what it
shows when a call is refused. No client needs a change for the gateway. Host, ports and the header \`api-key\` are those of Qdrant.

\`npm run test:clients\` runs one program for each client before a gateway with TLS, and compares every step with
[one table](../../test/clients/steps.ts). The steps are calls with the admin key, the read-only key and a token, permitted and refused; a
collection that a request names in its body; and a restart of the gateway, after which the same client object goes on. The programs in Python
and TypeScript also write, query, scroll, retrieve and delete with the key of a [tenant](../guides/tenants.md).
\`npm run test:clients -- --write\` makes this page from what the clients showed.
`;

const BOTTOM = `## What to know

- **Decide by the status, and print the text.** 401 (\`UNAUTHENTICATED\`): the credential is missing or not known. 403
  (\`PERMISSION_DENIED\`): its access does not permit this, or it is a token that cannot be used now.
  [401 or 403, why?](../guides/refused.md) goes through the causes.
- **A restart of the gateway** fails calls that are made meanwhile. Every client above connects again by itself at a later call; none
  repeats the failed one. A program that must not fail tries again when no answer came (no status over REST, \`UNAVAILABLE\` over
  gRPC; Rust shows \`Internal\` there).
- **A private CA** is best given to the client alone, as above. Variables such as \`SSL_CERT_FILE\` hold for every connection of the
  process, and most of them replace the public roots. Do not turn verification off: the key would go to any host that answers.
- **Check of the release.** Most clients ask \`/\` or \`HealthCheck\` for Qdrant's release when they are made, which needs no key. The programs
  here turn it off.
- **Frameworks** above these clients: [frameworks](frameworks.md).
`;

/** The whole page. */
export function clientsPage(known: Readonly<Record<string, Recorded>>): string {
  const overview = CLIENTS.map((client) => {
    const told = toldOf(client);
    const run = known[client.name];
    const release = run === undefined ? `${releaseOf(client)}, not run yet` : run.release;
    return `| [${told.title}](#${anchor(told.title)}) | ${client.package} | ${release} | ${client.transport} | ${told.ca} | ${told.text} |`;
  });
  return [
    TOP,
    '| client | package | release tried | transport | how it gets the CA | where an error has status and text |',
    '|---|---|---|---|---|---|',
    ...overview,
    '',
    BOTTOM,
    ...CLIENTS.map((client) => section(client, known[client.name])),
  ]
    .join('\n')
    .replace(/\n+$/, '\n');
}

const anchor = (title: string): string =>
  title
    .toLowerCase()
    .replace(/[^a-z0-9 -]/g, '')
    .replaceAll(' ', '-');

/** The steps that a record must hold, all of them: those of the table that are not done. */
export const RECORDED_STEPS: readonly string[] = [...STRANGER, ...STEPS].flatMap((step) =>
  'result' in step ? [] : [step.step],
);
