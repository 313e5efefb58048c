import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { EXAMPLE } from './example.ts';
import { configFile } from './schema.ts';

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
}

/** Every field that can be written, such as `kmsConnections[].name`. */
function fields(schema: JsonSchema, path: string): string[] {
  if (schema.items !== undefined && schema.items.properties !== undefined)
    return fields(schema.items, `${path}[]`);
  if (schema.properties === undefined) return [path];
  return Object.entries(schema.properties).flatMap(([name, child]) =>
    fields(child, path === '' ? name : `${path}.${name}`),
  );
}

const SCHEMA_FIELDS = fields(
  z.toJSONSchema(configFile, { io: 'input', unrepresentable: 'any' }) as JsonSchema,
  '',
).sort();

function exampleFields(value: unknown, path: string): string[] {
  if (Array.isArray(value) && typeof value[0] === 'object') return exampleFields(value[0], `${path}[]`);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [path];
  return Object.entries(value).flatMap(([name, child]) =>
    exampleFields(child, path === '' ? name : `${path}.${name}`),
  );
}

test('docs/config.md has one row for each field, and none for a field that does not exist', () => {
  const text = readFileSync(new URL('../../docs/config.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1]);
  expect(SCHEMA_FIELDS).toContain('kmsConnections[].kmip.endpoints[].serverName');
  expect(rows).toHaveLength(SCHEMA_FIELDS.length);
  expect(new Set(rows)).toEqual(new Set(SCHEMA_FIELDS));
});

test('the example shows every field', () => {
  expect(exampleFields(parse(EXAMPLE), '').sort()).toEqual(SCHEMA_FIELDS);
});
