import { readdirSync, readFileSync } from 'node:fs';

/*
 * What the installed official clients say Qdrant serves: REST by the types generated from its OpenAPI description,
 * gRPC by the descriptors generated from its proto files.
 */
const REST_SCHEMA = '@qdrant/js-client-rest/dist/types/openapi/generated_schema.d.ts';
const GRPC_SCHEMAS = '@qdrant/js-client-grpc/dist/esm/proto/';

function inModules(path: string): URL {
  return new URL(`../../node_modules/${path}`, import.meta.url);
}

/** Every method and path of the REST client's `paths` interface. */
export function clientRoutes(): { readonly method: string; readonly path: string }[] {
  const text = readFileSync(inModules(REST_SCHEMA), 'utf8');
  const block = /^export interface paths \{\n([\s\S]*?)^\}/m.exec(text)?.[1] ?? '';
  return [...block.matchAll(/^ {4}"([^"]+)": \{\n([\s\S]*?)^ {4}\};/gm)].flatMap(([, path = '', item = '']) =>
    [...item.matchAll(/^ {8}([a-z]+): operations\[/gm)].map(([, method = '']) => ({
      method: method.toUpperCase(),
      path,
    })),
  );
}

/** Every method of the gRPC client's services, as `/qdrant.Points/Search`. */
export async function clientMethods(): Promise<string[]> {
  const names = readdirSync(inModules(GRPC_SCHEMAS)).filter((name) => name.endsWith('_pb.js'));
  const modules = await Promise.all(names.map((name) => import(inModules(`${GRPC_SCHEMAS}${name}`).href)));
  return modules.flatMap((module: Readonly<Record<string, unknown>>) => Object.values(module).flatMap(methodsOf));
}

interface ServiceDescriptor {
  readonly kind: 'service';
  readonly typeName: string;
  readonly methods: readonly { readonly name: string }[];
}

function methodsOf(exported: unknown): string[] {
  const isService = typeof exported === 'object' && exported !== null && 'kind' in exported;
  if (!isService || exported.kind !== 'service') return [];
  const { typeName, methods } = exported as ServiceDescriptor;
  return methods.map(({ name }) => `/${typeName}/${name}`);
}
