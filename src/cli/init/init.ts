import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parse } from 'yaml';
import { gatewayVersion } from '../../version.ts';
import { exitCode } from '../exit-code.ts';
import type { Report } from '../frame/declare.ts';
import { UsageError } from '../output.ts';
import { planCompose } from './compose-plan.ts';
import { readEnvFile } from './compose-service.ts';
import { newDevCerts } from './dev-certs.ts';
import { isEnvFile, placeOfEnv } from './env-plan.ts';
import { planHelm } from './helm-plan.ts';
import { askQdrant, placeOfRunning, planHost } from './host-plan.ts';
import type { Drawn, InitChoices, Plan } from './plan.ts';
import { apply, changesOf, isDone, undo } from './record.ts';
import { nextLines, planText } from './show.ts';

/** Options of `init`. */
export interface InitFlags {
  readonly qdrant?: string | undefined;
  readonly name?: string | undefined;
  readonly host?: readonly string[] | undefined;
  readonly image?: string | undefined;
  readonly cleartext?: boolean | undefined;
  readonly yes?: boolean | undefined;
  readonly undo?: boolean | undefined;
}

/** Names that `docker compose` looks for, in its order. */
const COMPOSE_FILES = ['compose.yaml', 'compose.yml', 'docker-compose.yaml', 'docker-compose.yml'];
const KEY_BYTES = 36;

/**
 * `init`: shows what would put the gateway before the Qdrant of a compose project, of Helm values or of this host, and writes it with
 * `--yes`. Throws `UsageError` for what cannot be read.
 */
export async function init(
  file: string | undefined,
  flags: InitFlags,
  now: number,
  cwd = process.cwd(),
): Promise<Report> {
  const start = resolve(cwd, file ?? '.');
  if (flags.undo) return undoIn(isFolder(start) ? start : dirname(start));
  const plan = await planOf(file, flags, now, cwd);
  const changes = changesOf(plan);
  if (flags.yes) apply(plan, changes);
  const state = isDone(changes) ? 'done' : flags.yes ? 'written' : 'planned';
  return {
    text: planText(plan, changes, state),
    json: {
      state,
      folder: plan.folder,
      found: plan.found,
      added: changes.added.map(({ path }) => path),
      changed: changes.changed.map((change) => change.file.path),
      env: changes.env ?? null,
      notes: plan.notes,
      next: plan.next,
    },
    code: exitCode.ok,
  };
}

async function planOf(file: string | undefined, flags: InitFlags, now: number, cwd: string): Promise<Plan> {
  const choices: InitChoices = {
    image: flags.image ?? `qdrant-gateway:${gatewayVersion()}`,
    name: flags.name,
    hosts: flags.host ?? [],
    cleartext: flags.cleartext ?? false,
    user: userText(),
  };
  const drawn: Drawn = {
    key: () => randomBytes(KEY_BYTES).toString('base64url'),
    certs: (names) => newDevCerts(names, now),
  };
  if (flags.qdrant !== undefined) {
    if (file !== undefined) throw new UsageError('give a file or --qdrant, not both');
    const qdrant = await askQdrant(flags.qdrant);
    return planHost(placeOfRunning(cwd, flags.qdrant, qdrant, reader(cwd)), choices, drawn);
  }
  const path = resolve(cwd, file ?? COMPOSE_FILES.find((name) => existsSync(join(cwd, name))) ?? '');
  if (path === resolve(cwd)) {
    throw new UsageError(
      `no ${COMPOSE_FILES.join(', ')} here: name a compose file or Helm values, or a running Qdrant with --qdrant`,
    );
  }
  const folder = dirname(path);
  const readText = reader(folder);
  const text = readText(basename(path));
  if (text === undefined) throw new UsageError(`there is no file \`${path}\``);
  const place = { folder, file: basename(path), text, readText };
  if (isEnvFile(path)) return planHost(placeOfEnv(folder, basename(path), text, readText), choices, drawn);
  if (!isCompose(path, text)) return planHelm(place, choices, drawn);
  refuseFilesElsewhere(folder);
  return planCompose(place, choices, drawn);
}

/** `COMPOSE_FILE` with files of other folders, here or above: compose would be started elsewhere, and would not read the second file. */
function refuseFilesElsewhere(folder: string): void {
  for (let up = folder; ; up = dirname(up)) {
    const text = reader(up)('.env');
    const files = readEnvFile(text ?? '').get('COMPOSE_FILE');
    if (files?.includes('/')) {
      throw new UsageError(
        `COMPOSE_FILE in \`${join(up, '.env')}\` names files of other folders: put the gateway there by hand, or move the files beside it`,
      );
    }
    if (up === dirname(up)) return;
  }
}

/** A compose file has services; other YAML is taken for Helm values. Throws `UsageError` for what is no YAML. */
function isCompose(path: string, text: string): boolean {
  try {
    const content = Object(parse(text, { merge: true }));
    return Object.hasOwn(content, 'services') || Object.hasOwn(content, 'include');
  } catch (error) {
    throw new UsageError(
      `\`${path}\` is no YAML: ${error instanceof Error ? error.message.split('\n')[0] : 'not readable'}`,
    );
  }
}

function reader(folder: string): (path: string) => string | undefined {
  return (path) => {
    const whole = resolve(folder, path);
    return existsSync(whole) ? readFileSync(whole, 'utf8') : undefined;
  };
}

/** User and group of the caller. Root's files are given to the user of the image. */
function userText(): string {
  const [user, group] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  return user === 0 ? '1000:1000' : `${user}:${group}`;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function undoIn(folder: string): Report {
  const { removed, left, guarding, env, next } = undo(folder);
  const lines = [
    ...removed.map((path) => `removed ${path}`),
    ...(env === undefined ? [] : [`.env: ${env} is as it was`]),
    ...left.map((path) => `left ${path}: it has been changed since`),
    ...guarding.map((path) => `left ${path}: its folder holds what the gateway wrote, or you did`),
    ...(next.length === 0 ? [] : ['', ...nextLines(next)]),
  ];
  return {
    text: `${lines.join('\n')}\n`,
    json: { removed, left, guarding, env: env ?? null, next },
    code: left.length > 0 ? exitCode.negative : exitCode.ok,
  };
}
