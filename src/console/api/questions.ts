/** Shapes of JSON of the pages Access, Try it and Policy. */

/** `POST api/try`: one request of one caller. */
export interface TryRequest {
  readonly protocol: 'rest' | 'grpc';
  /** REST alone. */
  readonly method?: string;
  /** Path and query, or `Points/Search`. */
  readonly target: string;
  /** JSON text. */
  readonly body?: string;
  /** `anonymous`, the id of a key, or claims as JSON. */
  readonly as?: string;
  /** A key or a token, in the place of `as`. */
  readonly credential?: string;
}

/** Part of a decision. */
export interface DecidedBy {
  readonly kind: string;
  readonly id?: string;
  readonly path?: string;
}

/** The answer to a try: the form of `can-i --json`, as `answerQuestion` returns it. */
export interface Tried {
  readonly verdict: 'allowed' | 'denied';
  readonly code?: string;
  readonly means?: string;
  readonly remedy?: string;
  readonly answer?: { readonly status: number; readonly body: string };
  readonly decided_by?: DecidedBy;
  readonly principal?: {
    readonly auth_type: string;
    readonly key: string;
    readonly key_name?: string;
    readonly subject?: string;
  };
  readonly operation?: string;
  readonly method?: string;
  readonly collection?: string;
  readonly names?: readonly string[];
  readonly cost?: number;
  readonly limits?: readonly string[];
  readonly bounds?: readonly string[];
  readonly filtered?: true;
  readonly sent_instead?: { readonly request: string; readonly body: string; readonly answer?: string };
  readonly would_deny?: { readonly rule: string; readonly code: string; readonly error: string };
  readonly assumptions: readonly string[];
}

/** `GET api/try/options`. */
export interface TryOptions {
  readonly callers: readonly { readonly id: string; readonly text: string }[];
  readonly grpc_methods: readonly string[];
}

/** `GET api/access`: the form of `matrix --json`. */
export interface AccessMatrix {
  readonly callers: readonly string[];
  readonly collections: readonly string[];
  readonly rows: readonly {
    readonly operations: readonly string[];
    /** In the order of the callers. */
    readonly cells: readonly {
      readonly caller: string;
      readonly allowed: 'all' | 'none' | readonly string[];
      readonly conditions: readonly string[];
    }[];
  }[];
  readonly notes: readonly string[];
  /** Number of callers that fit the filter, and were left out. */
  readonly left_out: number;
}

/** `GET api/access/why`. */
export interface Why {
  readonly callers: readonly {
    readonly caller: string;
    readonly operation: string;
    readonly protocol: 'rest' | 'grpc';
    readonly verdict: 'allowed' | 'denied';
    readonly code?: string;
    readonly decided_by: DecidedBy;
    readonly conditions: readonly string[];
  }[];
}

/** `GET api/policy`. */
export interface PolicyPage {
  /** null = no policy file is configured. */
  readonly file: string | null;
  /** Of the file as it is now, without its secrets; null = it is not shown, and `fixed` says why. */
  readonly text: string | null;
  readonly revision: string | null;
  /** False = the file has changed since it was read, or is not valid: the policy in force is an older one. */
  readonly in_force: boolean;
  /** Why the file may not be written here; null = it may. */
  readonly fixed: string | null;
  /** Requests that a rule, guard or limit in shadow would have refused, since the start. */
  readonly shadow: readonly { readonly code: string; readonly requests: number }[];
  readonly limits: readonly { readonly id: string; readonly denied: number; readonly shadowed: number }[];
  readonly mode: string;
}

export interface DraftCheck {
  readonly problems: readonly { readonly place: string; readonly message: string }[];
  readonly warnings: readonly string[];
  /** null = the draft is not valid. */
  readonly counts: Readonly<Record<string, number>> | null;
}

export interface CaseRun {
  readonly passed: number;
  readonly failed: number;
  readonly cases: readonly {
    readonly name: string;
    readonly place: string;
    readonly passed: boolean;
    readonly differences: readonly string[];
  }[];
  readonly coverage: readonly { readonly part: string; readonly cases: number }[];
}

/** The form of `policy diff --json`. */
export interface Diff {
  readonly changes: number;
  readonly groups: readonly {
    readonly kind: 'gains' | 'loses' | 'changes' | 'refused otherwise';
    readonly role: string;
    readonly from: string;
    readonly to: string;
    readonly merged_callers: readonly string[];
    readonly collections: readonly string[];
    readonly operations: readonly string[];
  }[];
  readonly settings: readonly {
    readonly kind: string;
    readonly part: string;
    readonly settings: readonly { readonly setting: string; readonly from?: string; readonly to?: string }[];
  }[];
  readonly notes: readonly string[];
  /** Groups that were left out of this answer. */
  readonly left_out: number;
}

/** `GET api/policy/job`: a diff that is being computed. */
export type DiffJob =
  | { readonly state: 'running'; readonly done: number; readonly all: number }
  | { readonly state: 'done'; readonly diff: Diff }
  | { readonly state: 'failed'; readonly problems: readonly string[] };
