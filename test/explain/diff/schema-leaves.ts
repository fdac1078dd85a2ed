/** A node of a JSON schema, as far as its leaves need it. */
interface SchemaNode {
  readonly $ref?: string;
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
}

/** The paths of all values that a file of this schema can set: `rules[].access[].manage`. An alternative counts with its own. */
export function leavesOf(schema: unknown): ReadonlySet<string> {
  const root = schema as SchemaNode;
  const leaves = new Set<string>();
  const visit = (given: SchemaNode, path: string): void => {
    const node = given.$ref === undefined ? given : referenced(root, given.$ref);
    const { properties, items, anyOf = node.oneOf } = node;
    if (anyOf) for (const one of anyOf) visit(one, path);
    else if (properties)
      for (const [name, one] of Object.entries(properties)) visit(one, path === '' ? name : `${path}.${name}`);
    else if (items && (items.properties || items.anyOf || items.$ref)) visit(items, `${path}[]`);
    else leaves.add(path);
  };
  visit(root, '');
  return leaves;
}

function referenced(root: SchemaNode, ref: string): SchemaNode {
  let node: unknown = root;
  for (const name of ref.split('/').slice(1)) node = (node as Readonly<Record<string, unknown>>)[name];
  return node as SchemaNode;
}
