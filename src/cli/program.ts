import { text } from 'node:stream/consumers';
import { Command, CommanderError } from 'commander';
import { jsonSchemaText, keysSchemaText, policySchemaText } from '../config/document.ts';
import type { Flags } from '../config/load.ts';
import { optionsPage } from '../config/options-page.ts';
import { gatewayVersion } from '../version.ts';
import { showHeads, type VerifyFlags, verifyAudit } from './audit.ts';
import { exitCode } from './exit-code.ts';
import { addKeyCommands } from './key/program.ts';
import { explainFailure, type Output, processOutput } from './output.ts';
import type { RevokeFlags } from './revoke.ts';
import { inspect, mint, type TokenFlags } from './token.ts';

/** Adds the flags that set options. They win over environment and file. */
export function withConfigFlags(command: Command): Command {
  return command
    .option('--config <file>', 'YAML configuration file')
    .option('--upstream <url>', 'REST address of the unsecured Qdrant, http://host:port')
    .option('--upstream-grpc <url>', 'gRPC address of the unsecured Qdrant, http://host:port')
    .option('--http-port <port>', 'REST port (6333)')
    .option('--grpc-port <port>', 'gRPC port (6334)')
    .option('--host <address>', 'address to listen on (0.0.0.0)')
    .option('--tls', 'TLS on both ports')
    .option('--no-tls', 'no TLS')
    .option('--cert <file>', 'certificate chain, PEM')
    .option('--key-file <file>', 'private key, PEM');
}

/** All of standard input: a pipe, a file or a terminal. */
function readStdin(): Promise<string> {
  return text(process.stdin);
}

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

// The gateway itself is loaded only for this command, so that the others start quickly.
async function serveCommand(flags: Flags, output: Output): Promise<void> {
  const { serve } = await import('./serve.ts');
  await serve(flags, output);
}

function addTokenCommands(program: Command, output: Output): void {
  const token = withConfigFlags(program.command('token'))
    .description('mint a JWT (HS256) with the configured admin key, or with a signing key')
    .option('--access <letter>', 'global access: r or m')
    .option('--collection <name=access>', 'access to one collection: r, rw or prw; may be repeated', collect)
    .option('--exp <when>', 'expiry: 30d, 12h, 90m or an ISO date (default: never)')
    .option('--sub <text>', 'claim `sub`')
    .option('--subject <text>', 'claim `subject`, shown in the audit log')
    .option('--value-exists <json>', 'claim `value_exists`')
    .option('--signing-key <id>', 'sign with this key of the policy file, and name it in the header (`kid`)')
    .option('--secret-file <file>', 'file with the key to sign with, instead of the configured one')
    .action((flags: TokenFlags) => mint(flags, output));
  token
    .command('inspect')
    .description('show a token read from standard input, and whether the gateway accepts it')
    .action(async (_: object, command: Command) =>
      inspect(await readStdin(), command.optsWithGlobals<Flags>(), output),
    );
}

function addRevokeCommand(program: Command, output: Output): void {
  withConfigFlags(program.command('revoke'))
    .description('revoke tokens: adds an entry to the configured file or Redis')
    .option('--token-id <id>', 'revoke the token with this `jti`')
    .option('--subject <text>', 'revoke all tokens with this `sub` or `subject`')
    .option('--key <id>', 'revoke all tokens signed with this key: api_key, alt_api_key or the id of a signing key')
    .option(
      '--before <time>',
      'revoke all tokens issued (`iat`) before this time: now, an ISO time, or seconds since 1970',
    )
    .option('--for-subject <text>', 'with --before: only tokens with this `sub` or `subject`')
    .option('--until <when>', 'expiry of the entry: 30d, 12h, 90m or an ISO date (default: never)')
    .option('--reason <text>', 'note that is stored with the entry')
    .action(async (flags: RevokeFlags) => {
      const { revoke } = await import('./revoke.ts');
      await revoke(flags, output);
    });
}

function addAuditCommands(program: Command, output: Output): void {
  const audit = program.command('audit').description('verify audit files');
  audit
    .command('verify <files...>')
    .description('check the hash chain of audit files; a folder stands for all audit files in it')
    .option(
      '--from <hash>',
      'hash before the first line, or `start` for a complete chain; repeat for each chain',
      collect,
    )
    .option(
      '--to <hash>',
      'hash that the chain must contain, stored outside of the files; repeat for each chain',
      collect,
    )
    .action((files: string[], flags: VerifyFlags) => verifyAudit(files, flags, output));
  audit
    .command('head <files...>')
    .description('print the last hash of each chain, to be stored outside of the files')
    .action((files: string[]) => showHeads(files, output));
}

/**
 * The command line: `serve` (default), `token`, `token inspect`, `revoke`, `key ...`, `audit verify`, `audit head`, `check-config`,
 * `schema`, `options`.
 */
export function createProgram(output: Output): Command {
  const program = new Command('qdrant-gateway')
    .description('Security gateway for self-hosted Qdrant')
    .version(gatewayVersion(), '-V, --version', 'print the release of the gateway')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeOut: output.out, writeErr: output.err });
  withConfigFlags(program.command('serve', { isDefault: true }))
    .description('run the gateway')
    .action((flags: Flags) => serveCommand(flags, output));
  addTokenCommands(program, output);
  addRevokeCommand(program, output);
  addKeyCommands(program, output, { withFlags: withConfigFlags, readStdin });
  addAuditCommands(program, output);
  withConfigFlags(program.command('check-config'))
    .description('check the configuration: print the effective settings, or all problems')
    .action(async (flags: Flags) => {
      const { checkConfig } = await import('./check-config.ts');
      await checkConfig(flags, output);
    });
  program
    .command('schema')
    .description('print the JSON schema of the configuration file')
    .option('--policy', 'print the schema of the policy file instead')
    .option('--keys', 'print the schema of the file of named keys instead')
    .action(({ policy, keys }: { readonly policy?: boolean; readonly keys?: boolean }) =>
      output.out(keys ? keysSchemaText() : policy ? policySchemaText() : jsonSchemaText()),
    );
  program
    .command('options')
    .description('print all options as a Markdown page')
    .action(() => output.out(optionsPage()));
  return program;
}

/** Runs one command. Returns the exit code; a running gateway keeps the process alive after 0. */
export async function main(args: readonly string[], output: Output = processOutput): Promise<number> {
  try {
    await createProgram(output).parseAsync(args, { from: 'user' });
    return exitCode.ok;
  } catch (error) {
    // Commander has already printed its own text.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.ok : exitCode.usage;
    return explainFailure(output, error);
  }
}
