/** Turns zod's issues into problems that name their path and say what would be right. */
import type { z } from 'zod';
import type { ConfigProblem } from './errors.ts';

/** `['a', 0, 'b']` as `a[0].b`. */
function fieldPath(path: readonly PropertyKey[]): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += text === '' ? String(step) : `.${String(step)}`;
  }
  return text;
}

/** Every issue as one problem; several unknown fields as several. Values of the file are never repeated. */
export function problemsOf(error: z.ZodError, root: readonly PropertyKey[] = []): ConfigProblem[] {
  return error.issues.flatMap((issue): ConfigProblem[] => {
    const path = [...root, ...issue.path];
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ path: fieldPath([...path, key]), message: 'unknown field' }));
    }
    return [{ path: fieldPath(path), message: messageOf(issue) }];
  });
}

function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type' && issue.message.endsWith('received undefined')) {
    return `missing: must be ${issue.expected === 'object' ? 'a mapping' : `of type ${issue.expected}`}`;
  }
  if (issue.code === 'invalid_type')
    return `must be ${issue.expected === 'object' ? 'a mapping' : `of type ${issue.expected}`}`;
  if (issue.code === 'invalid_value') {
    return `must be ${issue.values.length === 1 ? '' : 'one of '}${issue.values.map(String).join(', ')}`;
  }
  return issue.message;
}
