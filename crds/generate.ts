/**
 * Writes what is made of the schemas: the CustomResourceDefinitions and the tables of docs/custom-resources.md.
 *
 * Usage: node crds/generate.ts [--check]; with --check it writes nothing, names what is out of date, and fails.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { type CustomResource, customResourceDefinition, resourceSchema } from './crd.ts';
import { encryptedBucketResource } from './encryptedbucket.ts';
import { fieldTable, ruleList } from './fieldReference.ts';
import { kmsConnectionResource } from './kmsconnection.ts';

const RESOURCES = [kmsConnectionResource, encryptedBucketResource];
const ROOT = new URL('../', import.meta.url);
const REFERENCE = 'docs/custom-resources.md';

/** The YAML of a CustomResourceDefinition. Kubernetes reads YAML 1.1, where a bare point in time is not a text. */
function definitionText(resource: CustomResource): string {
  const yaml = stringify(customResourceDefinition(resource), {
    version: '1.1',
    aliasDuplicateObjects: false,
    lineWidth: 0,
  });
  return `# Made by crds/generate.ts from crds/${resource.kind.toLowerCase()}.ts; do not edit.\n${yaml}`;
}

/** What stands between the marks of the page, by the name in the mark. */
function referenceParts(): ReadonlyMap<string, string> {
  return new Map(
    RESOURCES.flatMap((resource) => {
      const schema = resourceSchema(resource);
      const { spec, status } = schema.properties ?? {};
      if (spec === undefined || status === undefined) return [];
      const rules = [ruleList(schema), ruleList(spec)].filter((list) => list !== '').join('\n');
      return [
        [`${resource.kind} spec`, fieldTable(spec, 'spec')],
        [`${resource.kind} rules`, rules],
        [`${resource.kind} status`, fieldTable(status, 'status')],
      ] as const;
    }),
  );
}

/**
 * The page with its generated parts renewed.
 *
 * @throws Error when a part has no place in the page, or a place no part
 */
export function withParts(page: string, parts: ReadonlyMap<string, string>): string {
  const placed = new Set<string>();
  const renewed = page.replaceAll(
    /(<!-- made by crds\/generate\.ts: (.+?) -->\n)[^]*?(<!-- end -->)/g,
    (_, begin: string, name: string, end: string) => {
      const part = parts.get(name);
      if (part === undefined) throw new Error(`${REFERENCE} has a place for "${name}", which is not made`);
      placed.add(name);
      return `${begin}\n${part}\n\n${end}`;
    },
  );
  const missing = [...parts.keys()].filter((name) => !placed.has(name));
  if (missing.length > 0) throw new Error(`${REFERENCE} has no place for ${missing.join(', ')}`);
  return renewed;
}

/** Path from the root, and content, of each generated file. */
export function generatedFiles(): ReadonlyMap<string, string> {
  const page = readFileSync(new URL(REFERENCE, ROOT), 'utf8');
  return new Map([
    ...RESOURCES.map((resource) => [`crds/${resource.plural}.yaml`, definitionText(resource)] as const),
    [REFERENCE, withParts(page, referenceParts())],
  ]);
}

function present(path: string): string | null {
  try {
    return readFileSync(new URL(path, ROOT), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

if (import.meta.main) {
  const stale = [...generatedFiles()].filter(([path, text]) => present(path) !== text);
  if (process.argv.includes('--check')) {
    for (const [path] of stale) process.stderr.write(`out of date: ${path}; run node crds/generate.ts\n`);
    process.exitCode = stale.length === 0 ? 0 : 1;
  } else {
    for (const [path, text] of stale) writeFileSync(new URL(path, ROOT), text);
  }
}
