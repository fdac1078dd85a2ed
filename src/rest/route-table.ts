import type { RestOperation } from '../policy/operation.ts';

/** A row made ready for matching. */
export interface Route {
  readonly operation: RestOperation;
  /** Indexes of the segments that are parameters, in path order. */
  readonly parameters: readonly number[];
  /** Index of the segment that names the target collection; -1 = none. */
  readonly collection: number;
  /** Indexes of the segments that name a collection, a vector or a snapshot, of which upstream makes paths of files. */
  readonly names: readonly number[];
}

const NAMES: ReadonlySet<string> = new Set(['{collection}', '{vector}', '{snapshot}']);

interface Branch {
  readonly literals: Map<string, Branch>;
  parameter: Branch | undefined;
  /** Ends here. */
  route: Route | undefined;
  /** Takes everything from here on, at least one segment. */
  tail: Route | undefined;
}

/** Rows by method, then by segment: a literal goes before a parameter, and a dead end goes back to the parameter. */
export class RouteTable {
  readonly #roots = new Map<string, Branch>();

  constructor(operations: readonly RestOperation[]) {
    for (const operation of operations) this.#add(operation);
  }

  /** The row for decoded `segments`; `undefined` = the table holds none. `method` is case-sensitive. */
  match(method: string, segments: readonly string[]): Route | undefined {
    const root = this.#roots.get(method);
    return root && descend(root, segments, 0);
  }

  #add(operation: RestOperation): void {
    const segments = operation.path.split('/').filter((segment) => segment !== '');
    let branch = this.#roots.get(operation.method) ?? newBranch();
    this.#roots.set(operation.method, branch);
    const route: Route = {
      operation,
      parameters: segments.flatMap((segment, index) => (segment.startsWith('{') ? [index] : [])),
      collection: segments.indexOf('{collection}'),
      names: segments.flatMap((segment, index) => (NAMES.has(segment) ? [index] : [])),
    };
    for (const segment of segments) {
      if (segment === '{tail}') {
        branch.tail = route;
        return;
      }
      branch = segment.startsWith('{') ? parameterOf(branch) : literalOf(branch, segment);
    }
    branch.route = route;
  }
}

function newBranch(): Branch {
  return { literals: new Map(), parameter: undefined, route: undefined, tail: undefined };
}

function parameterOf(branch: Branch): Branch {
  branch.parameter ??= newBranch();
  return branch.parameter;
}

function literalOf(branch: Branch, literal: string): Branch {
  const known = branch.literals.get(literal);
  if (known) return known;
  const added = newBranch();
  branch.literals.set(literal, added);
  return added;
}

/** Recursion ends with the table's deepest row, whatever the length of `segments`. */
function descend(branch: Branch, segments: readonly string[], index: number): Route | undefined {
  const segment = segments[index];
  if (segment === undefined) return branch.route;
  const literal = branch.literals.get(segment);
  const found = literal && descend(literal, segments, index + 1);
  if (found) return found;
  return (branch.parameter && descend(branch.parameter, segments, index + 1)) ?? branch.tail;
}
