import type { Command } from 'commander';
import { BREAK_GLASS_HOURS } from '../../config/keys/moment.ts';
import type { Output } from '../output.ts';
import type { CreateFlags, KeyContext, KeyFlags } from './commands.ts';

/** Adds the commands of `key`. @param withFlags adds the flags that name a configuration */
export function addKeyCommands(
  program: Command,
  output: Output,
  { withFlags, readStdin }: { withFlags: (command: Command) => Command; readStdin: () => Promise<string> },
): void {
  const key = program
    .command('key')
    .description('named keys in the file `gateway.keys_file`, or in Redis with `gateway.shared.keys`');
  const load = () => import('./commands.ts');
  const context = (): KeyContext => ({ output, now: Date.now(), readStdin });
  const command = (usage: string, text: string): Command =>
    withFlags(key.command(usage))
      .description(text)
      .option('--file <file>', 'file of named keys, instead of the configured one')
      .option('--json', 'print JSON');
  command('create', 'add a key and print its text, which is shown once')
    .requiredOption('--name <text>', 'name of the key: 4 to 128 letters, digits, `_`, blanks or `-`')
    .option('--id <id>', 'id: 4 to 32 lower-case letters and digits (default: a random one)')
    .option('--owner <text>', 'person or team')
    .option('--access <access>', 'r, m, or entries as JSON, as in the policy file')
    .option('--collection <name=access>', 'access to one collection: r, rw or prw; may be repeated', collect)
    .option('--expires <when>', 'end: 90d, 12h, an ISO date, or never (default: 90d)')
    .option('--for <time>', 'end, counted from the begin: 2h, 90m')
    .option(
      '--break-glass',
      `a key for an emergency: each request needs a reason, and it ends within ${BREAK_GLASS_HOURS} h`,
    )
    .option('--not-before <when>', 'begin: 12h, 7d or an ISO date (default: at once)')
    .option('--network <address>', 'address or range that may present it; may be repeated (default: all)', collect)
    .option('--limits <id>', 'limit of the policy that the key carries; may be repeated', collect)
    .option('--tenant <text>', 'tenant of the key, for the policy; may be repeated', collect)
    .option('--tenant-json <value>', 'the same as JSON, for integers and booleans: 7, true, or a list')
    .option('--chosen', 'read the secret from standard input instead of drawing one')
    .action(async (flags: CreateFlags) => (await load()).createKey(flags, context()));
  command('list', 'list the keys').action(async (flags: KeyFlags) => (await load()).listKeys(flags, context()));
  command('show <id>', 'show a key').action(async (id: string, flags: KeyFlags) =>
    (await load()).showKey(id, flags, context()),
  );
  command('rotate <id>', 'give a key another text and print it, which is shown once')
    .option('--overlap <time>', 'the former text is accepted for this time; 0 ends it at once', '24h')
    .action(async (id: string, flags: KeyFlags & { readonly overlap: string }) =>
      (await load()).rotateKey(id, flags, context()),
    );
  command('disable <id>', 'refuse a key until it is enabled').action(async (id: string, flags: KeyFlags) =>
    (await load()).setState(id, 'disabled', flags, context()),
  );
  command('enable <id>', 'accept a disabled key again').action(async (id: string, flags: KeyFlags) =>
    (await load()).setState(id, 'active', flags, context()),
  );
  command('expire <id>', 'set the end of a key')
    .option('--at <when>', 'now, 12h, 30d, an ISO date, or never', 'now')
    .action(async (id: string, flags: KeyFlags & { readonly at: string }) =>
      (await load()).expireKey(id, flags, context()),
    );
  command('delete <id>', 'remove a key').action(async (id: string, flags: KeyFlags) =>
    (await load()).deleteKey(id, flags, context()),
  );
}

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}
