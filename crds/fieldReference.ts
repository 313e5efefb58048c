/** Field reference in Markdown, from the same schemas that the API server holds. */
import type { StructuralSchema } from './structural.ts';

const cell = (text: string): string => text.replaceAll('|', '\\|');
const code = (text: string): string => `\`${text}\``;

function valueName(schema: StructuralSchema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => code(value)).join(', ');
  if (schema.format === 'date-time') return 'time';
  const range = (least: number | undefined, most: number | undefined, unit: string): string => {
    if (most === undefined || most === 2_147_483_647) return unit === '' ? 'number' : unit;
    const span =
      least === undefined || (least === 0 && unit !== '') ? `at most ${most}` : `${least} to ${most}`;
    return unit === '' ? span : `${span} ${unit}`;
  };
  switch (schema.type) {
    case 'boolean':
      return '`true`, `false`';
    case 'integer':
      return range(schema.minimum, schema.maximum, '');
    case 'string':
      return `text, ${range(schema.minLength, schema.maxLength, 'characters')}`;
    case 'array': {
      const of =
        schema.items?.type === 'string'
          ? ` of text, ${range(0, schema.items.maxLength, 'characters')} each`
          : '';
      return `list, ${range(schema.minItems, schema.maxItems, 'entries')}${of}`;
    }
    case 'object': {
      const values = schema.additionalProperties;
      return values === undefined ? 'object' : `map, ${range(0, schema.maxProperties, 'entries')}`;
    }
  }
}

function defaultName(schema: StructuralSchema, required: boolean): string {
  if (required) return 'required';
  const value = schema.default;
  if (value === undefined || typeof value === 'object') return '';
  return code(String(value));
}

function rowsOf(schema: StructuralSchema, path: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const at = path === '' ? name : `${path}.${name}`;
    const required = schema.required?.includes(name) === true;
    const messages = [field, field.items].flatMap((place) => place?.['x-kubernetes-validations'] ?? []);
    const meaning = [field.description ?? '', ...messages.map(({ message }) => `<br>Rule: ${message}.`)].join(
      '',
    );
    const row = `| ${code(at)} | ${valueName(field)} | ${defaultName(field, required)} | ${cell(meaning)} |`;
    const inner = field.items ?? field;
    return [row, ...rowsOf(inner, field.items === undefined ? at : `${at}[]`)];
  });
}

/** The table of all fields under one; `root` is how their paths begin, such as `spec`. */
export function fieldTable(schema: StructuralSchema, root: string): string {
  return ['| field | value | default | meaning |', '| --- | --- | --- | --- |', ...rowsOf(schema, root)].join(
    '\n',
  );
}

/** The rules of a place itself, as a list; empty: it has none. */
export function ruleList(schema: StructuralSchema): string {
  return (schema['x-kubernetes-validations'] ?? []).map(({ message }) => `- ${message}.`).join('\n');
}
