import { BREAK_GLASS_HOURS } from '../../config/keys/moment.ts';
import { type AnyCommand, declareCommand, type Input } from '../frame/declare.ts';
import type { KeyContext } from '../key/commands.ts';

const FILE = { kind: 'value', value: 'file', text: 'file of named keys, instead of the configured one' } as const;
const ID = [{ name: 'id', text: 'id of the key' }] as const;
const COMMON = { group: 'Keys and tokens:', config: true } as const;
const load = () => import('../key/commands.ts');

function contextOf({ output, now, readStdin }: Input<object>): KeyContext {
  return { output, now, readStdin };
}

/** The flags with `json`, which the commands on keys read themselves. */
function flagsOf<F extends object>({ flags, json }: Input<F>): Input<F>['flags'] & { readonly json: boolean } {
  return { ...flags, json };
}

const create = declareCommand({
  ...COMMON,
  name: 'key create',
  summary: 'add a key and print its text, which is shown once',
  options: {
    name: {
      kind: 'value',
      value: 'text',
      required: true,
      text: 'name of the key: 4 to 128 letters, digits, `_`, blanks or `-`',
    },
    id: { kind: 'value', value: 'id', text: 'id: 4 to 32 lower-case letters and digits (default: a random one)' },
    owner: { kind: 'value', value: 'text', text: 'person or team' },
    access: { kind: 'value', value: 'access', text: 'r, m, or entries as JSON, as in the policy file' },
    collection: {
      kind: 'list',
      value: 'name=access',
      text: 'access to one collection: r, rw or prw; may be repeated',
    },
    expires: { kind: 'value', value: 'when', text: 'end: 90d, 12h, an ISO date, or never (default: 90d)' },
    for: { kind: 'value', value: 'time', text: 'end, counted from the begin: 2h, 90m' },
    breakGlass: {
      kind: 'switch',
      text: `a key for an emergency: each request needs a reason, and it ends within ${BREAK_GLASS_HOURS} h`,
    },
    notBefore: { kind: 'value', value: 'when', text: 'begin: 12h, 7d or an ISO date (default: at once)' },
    network: {
      kind: 'list',
      value: 'address',
      text: 'address or range that may present it; may be repeated (default: all)',
    },
    limits: { kind: 'list', value: 'id', text: 'limit of the policy that the key carries; may be repeated' },
    tenant: { kind: 'list', value: 'text', text: 'tenant of the key, for the policy; may be repeated' },
    tenantJson: {
      kind: 'value',
      value: 'value',
      text: 'the same as JSON, for integers and booleans: 7, true, or a list',
    },
    chosen: { kind: 'switch', text: 'read the secret from standard input instead of drawing one' },
    file: FILE,
  },
  changes: true,
  examples: [
    ['qdrant-gateway key create --name "Team Search" --collection \'search-*=rw\'', 'a key for some collections'],
    ['qdrant-gateway key create --name "Rebuild articles" --break-glass --for 2h --access m', 'a key for an emergency'],
  ],
  async run(input) {
    await (await load()).createKey(flagsOf(input), contextOf(input));
    return undefined;
  },
});

const list = declareCommand({
  ...COMMON,
  name: 'key list',
  summary: 'list the keys',
  options: { file: FILE },
  examples: [['qdrant-gateway key list --json', 'the keys for a program']],
  async run(input) {
    await (await load()).listKeys(flagsOf(input), contextOf(input));
    return undefined;
  },
});

const show = declareCommand({
  ...COMMON,
  name: 'key show',
  summary: 'show a key',
  args: ID,
  options: { file: FILE },
  examples: [['qdrant-gateway key show teamsearch', 'everything but its text']],
  async run(input) {
    await (await load()).showKey(input.args[0] ?? '', flagsOf(input), contextOf(input));
    return undefined;
  },
});

const rotate = declareCommand({
  ...COMMON,
  name: 'key rotate',
  summary: 'give a key another text and print it, which is shown once',
  args: ID,
  options: {
    overlap: {
      kind: 'value',
      value: 'time',
      fallback: '24h',
      text: 'the former text is accepted for this time; 0 ends it at once',
    },
    file: FILE,
  },
  changes: true,
  examples: [['qdrant-gateway key rotate teamsearch --overlap 24h', 'both texts are accepted for a day']],
  async run(input) {
    await (await load()).rotateKey(input.args[0] ?? '', flagsOf(input), contextOf(input));
    return undefined;
  },
});

/** `key disable`, `key enable`. */
function stateCommand(name: string, summary: string, state: 'active' | 'disabled'): AnyCommand {
  return declareCommand({
    ...COMMON,
    name,
    summary,
    args: ID,
    options: { file: FILE },
    changes: true,
    examples: [[`qdrant-gateway ${name} teamsearch`, summary]],
    async run(input) {
      await (await load()).setState(input.args[0] ?? '', state, flagsOf(input), contextOf(input));
      return undefined;
    },
  });
}

const expire = declareCommand({
  ...COMMON,
  name: 'key expire',
  summary: 'set the end of a key',
  args: ID,
  options: {
    at: { kind: 'value', value: 'when', fallback: 'now', text: 'now, 12h, 30d, an ISO date, or never' },
    file: FILE,
  },
  changes: true,
  examples: [['qdrant-gateway key expire teamsearch --at 12h', 'it ends in twelve hours']],
  async run(input) {
    await (await load()).expireKey(input.args[0] ?? '', flagsOf(input), contextOf(input));
    return undefined;
  },
});

const remove = declareCommand({
  ...COMMON,
  name: 'key delete',
  summary: 'remove a key',
  args: ID,
  options: { file: FILE },
  changes: true,
  examples: [['qdrant-gateway key delete teamsearch', 'it is refused from now on, and gone from lists']],
  async run(input) {
    await (await load()).deleteKey(input.args[0] ?? '', flagsOf(input), contextOf(input));
    return undefined;
  },
});

/** The commands on named keys. */
export const keyCommands: readonly AnyCommand[] = [
  ...[create, list, show, rotate],
  stateCommand('key disable', 'refuse a key until it is enabled', 'disabled'),
  stateCommand('key enable', 'accept a disabled key again', 'active'),
  ...[expire, remove],
];
