/** values.yaml: every value with its default, and what it is for. */
import { stringify } from 'yaml';
import { z } from 'zod';
import { chartValues } from './values.ts';
import { type SchemaNode, valuesSchema } from './valuesSchema.ts';

const WIDTH = 118;
const node = z.record(z.string(), z.unknown());

function comment(text: string, indent: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && `${indent}# ${line} ${word}`.length > WIDTH) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].map((one) => `${indent}# ${one}\n`).join('');
}

/** Maps with fields of their own are written field by field; others are values. */
function fieldsOf(schema: SchemaNode, value: unknown): SchemaNode | null {
  const only = Array.isArray(schema['oneOf']) ? node.parse(schema['oneOf'][0]) : schema;
  const fields = node.safeParse(only['properties']);
  const values = node.safeParse(value);
  if (!fields.success || !values.success) return null;
  const described = Object.values(fields.data).every((field) => 'description' in node.parse(field));
  return described ? fields.data : null;
}

function written(fields: SchemaNode, values: SchemaNode, depth: number): string {
  const indent = '  '.repeat(depth);
  return Object.entries(fields)
    .map(([name, field]) => {
      const schema = node.parse(field);
      const description = schema['description'];
      if (typeof description !== 'string') throw new Error(`${name} has no description`);
      const head = `${depth === 0 ? '\n' : ''}${comment(description, indent)}`;
      const inner = fieldsOf(schema, values[name]);
      if (inner !== null)
        return `${head}${indent}${name}:\n${written(inner, node.parse(values[name]), depth + 1)}`;
      const text = stringify({ [name]: values[name] }, { lineWidth: 0 }).trimEnd();
      return `${head}${text
        .split('\n')
        .map((line) => `${indent}${line}\n`)
        .join('')}`;
    })
    .join('');
}

/** The text of values.yaml. @throws Error when a value has no description */
export function valuesFile(): string {
  const fields = node.parse(valuesSchema()['properties']);
  const head = '# Made by operator/chart/generate.ts from operator/chart/values.ts; do not edit.\n';
  return `${head}${written(fields, node.parse(chartValues.parse({})), 0)}`;
}
