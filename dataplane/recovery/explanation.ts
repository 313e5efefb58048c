/** What inspect answers: a tree that JSON shows as it is, and text in a form for people. */
import { judge } from './findings.ts';
import { escaped, printable } from './printable.ts';

export type Shown = string | number | boolean | null | readonly Shown[] | { readonly [name: string]: Shown };

export interface Explanation {
  readonly report: { readonly [name: string]: Shown };
  /** What is not as it should be. */
  readonly wrong: readonly string[];
  /** What could not be looked at. */
  readonly unknown: readonly string[];
}

/** Collects what is wrong while a report is put together. */
export class Verdicts {
  readonly wrong: string[] = [];
  readonly unknown: string[] = [];

  /** `good` when the check passes, else what is the matter, which is noted as well. */
  async of(subject: string, good: string, check: () => unknown): Promise<string> {
    try {
      await check();
      return good;
    } catch (error) {
      const judged = judge(error);
      if (judged === null) throw error;
      if (judged.kind === 'away') {
        this.unknown.push(`${subject}: ${judged.why}`);
        return `not checked: ${judged.why}`;
      }
      return this.fault(subject, judged.why);
    }
  }

  fault(subject: string, why: string): string {
    this.wrong.push(`${subject}: ${why}`);
    return `WRONG: ${why}`;
  }
}

/** `keyCheckValue` -> `key check value`. */
function label(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function line(name: string, value: string | number | boolean | null): string {
  if (value === null) return `${label(name)}: none`;
  if (typeof value === 'boolean') return `${label(name)}: ${value ? 'yes' : 'no'}`;
  if (typeof value === 'string') return `${label(name)}: ${printable(value)}`;
  if (name === 'bytes' || name.endsWith('Bytes'))
    return `${label(name).replace(/ bytes$/, '')}: ${value} bytes`;
  if (name.endsWith('Ms')) return `${label(name.slice(0, -2))}: ${new Date(value).toISOString()}`;
  return `${label(name)}: ${value}`;
}

function isList(value: Shown): value is readonly Shown[] {
  return Array.isArray(value);
}

function lines(name: string, value: Shown, indent: string): string[] {
  if (isList(value)) {
    if (value.length === 0) return [`${indent}${label(name)}: none`];
    return [`${indent}${label(name)}:`, ...value.flatMap((entry) => item(entry, `${indent}  `))];
  }
  if (typeof value === 'object' && value !== null) {
    return [`${indent}${label(name)}:`, ...block(value, `${indent}  `)];
  }
  return [`${indent}${line(name, value)}`];
}

function block(value: { readonly [name: string]: Shown }, indent: string): string[] {
  return Object.entries(value).flatMap(([name, field]) => lines(name, field, indent));
}

/** An entry of a list: its first line carries the dash. */
function item(value: Shown, indent: string): string[] {
  if (isList(value)) return value.flatMap((entry) => item(entry, indent));
  if (typeof value !== 'object' || value === null) return [`${indent}- ${printable(String(value))}`];
  return block(value, `${indent}  `).map((text, i) => (i === 0 ? `${indent}- ${text.trimStart()}` : text));
}

/** The explanation as text, what is wrong at its end. */
export function explanationText({ report, wrong, unknown }: Explanation): string {
  const all = [
    ...block(report, ''),
    ...wrong.map((why) => `WRONG: ${escaped(why)}`),
    ...unknown.map((why) => `NOT CHECKED: ${escaped(why)}`),
  ];
  return `${all.join('\n')}\n`;
}
