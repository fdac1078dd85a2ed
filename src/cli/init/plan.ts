/** A file that `init` writes. */
export interface PlannedFile {
  /** Relative to the folder of the plan, with `/`. */
  readonly path: string;
  readonly text: string;
  /** Permissions, for example 0o600. */
  readonly mode: number;
  /** True = the text is not shown. It is drawn once: a file that is there stays as it is. */
  readonly secret: boolean;
}

/** A setting in the `.env` file of a compose project. The rest of the file stays as it is. */
export interface EnvEdit {
  readonly name: string;
  /** The value from what is there; `undefined` = there is none. */
  readonly value: (before: string | undefined) => string;
}

/** All that `init` would do, before anything is done. */
export interface Plan {
  /** Folder that the paths are relative to. */
  readonly folder: string;
  /** The set-up that was found, one sentence a line. */
  readonly found: readonly string[];
  readonly files: readonly PlannedFile[];
  readonly env: EnvEdit | undefined;
  /** Consequences for a person, one sentence a line. */
  readonly notes: readonly string[];
  /** Commands to run afterwards, in their order. */
  readonly next: readonly string[];
}

/** Values that a plan draws: given by the caller, so that plans are the same in tests. */
export interface Drawn {
  /** A new key: 48 characters of base64url. */
  readonly key: () => string;
  readonly certs: (
    names: readonly string[],
  ) => Promise<{ readonly ca: string; readonly cert: string; readonly key: string }>;
}

/** Choices of the caller. */
export interface InitChoices {
  /** Image of the gateway. */
  readonly image: string;
  /** Name of the compose service, or of the Helm release; `undefined` = the one that is found, or `qdrant`. */
  readonly name: string | undefined;
  /** Names that clients connect to, for a certificate that is made. */
  readonly hosts: readonly string[];
  /** True = no TLS. */
  readonly cleartext: boolean;
  /** User and group of the caller, who owns the secrets. */
  readonly user: string;
}

/** A text file that is there; `undefined` = there is none. Throws for one that cannot be read. */
export type ReadText = (path: string) => string | undefined;

/** First line of every file that is no secret. */
export const WRITTEN = '# Written by `qdrant-gateway init`; `qdrant-gateway init --undo` removes it.\n';

/** A file that all may read. */
export function openFile(path: string, text: string): PlannedFile {
  return { path, text, mode: 0o644, secret: false };
}

/** Folder of what the gateway needs. */
export const FOLDER = 'qdrant-gateway';

/** Keeps that folder out of a repository. */
export const IGNORED: PlannedFile = openFile(`${FOLDER}/.gitignore`, '*\n');

/** A file for its owner alone. */
export function secretFile(path: string, text: string): PlannedFile {
  return { path, text, mode: 0o600, secret: true };
}

/** The files of a development CA and a certificate for these names; those that are there stay, if all of them are. */
export async function certFiles(
  names: readonly string[],
  drawn: Drawn,
  readText: ReadText,
): Promise<readonly PlannedFile[]> {
  const at = (name: string) => `${FOLDER}/tls/${name}`;
  const [ca, cert, key] = [readText(at('ca.pem')), readText(at('cert.pem')), readText(at('key.pem'))];
  const there = ca !== undefined && cert !== undefined && key !== undefined;
  const made = there ? { ca, cert, key } : await drawn.certs(names);
  return [
    { ...openFile(at('ca.pem'), made.ca), secret: true },
    { ...openFile(at('cert.pem'), made.cert), secret: true },
    secretFile(at('key.pem'), made.key),
  ];
}
