/**
 * Scalars of the custom resources: durations, names, hosts. Each is bounded, and each is checked by one CEL rule with a
 * message instead of a `pattern`, whose refusal would show a regular expression to a person.
 */
import { z } from 'zod';
import { literal, rules } from './validation.ts';

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const DURATION = /^([0-9]{1,6}(h|m|s|ms)){1,4}$/;

/** CEL: whether `text`, a CEL expression, is written as a duration; only then `duration(text)` can be evaluated. */
export function isDuration(text: string): string {
  return `${text}.matches(${literal(DURATION.source)})`;
}

/**
 * Milliseconds of a duration such as `5m` or `1h30m`.
 *
 * @throws RangeError when it is not written like one
 */
export function durationMs(text: string): number {
  if (!DURATION.test(text)) throw new RangeError('not a duration such as 500ms, 5m or 1h30m');
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|s|m|h)/g)) {
    sum += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0);
  }
  return sum;
}

/** A duration between two others, inclusive; it stays the text that was written. */
export function duration(least: string, most: string) {
  const message = `must be a duration between ${least} and ${most}, written like 500ms, 5m or 1h30m`;
  const within = `duration(self) >= duration('${least}') && duration(self) <= duration('${most}')`;
  return z
    .string()
    .max(24)
    .refine(
      (text) =>
        DURATION.test(text) && durationMs(text) >= durationMs(least) && durationMs(text) <= durationMs(most),
      { error: message },
    )
    .meta(rules({ rule: `${isDuration('self')} && ${within}`, message }));
}

/** Name of an object in the cluster, such as a Secret. */
export function objectName(maxLength: 63 | 253 = 253) {
  return z
    .string()
    .min(1)
    .max(maxLength)
    .meta(
      rules({
        rule: '!format.dns1123Subdomain().validate(self).hasValue()',
        message:
          'must be the name of an object: lower-case letters, digits, hyphens and dots, with a letter or digit at both ends',
      }),
    );
}

/** Name of a namespace, or another name without dots. */
export function label() {
  return z
    .string()
    .min(1)
    .max(63)
    .meta(
      rules({
        rule: '!format.dns1123Label().validate(self).hasValue()',
        message: 'must have only lower-case letters, digits and hyphens, with a letter or digit at both ends',
      }),
    );
}

/** A DNS name or an IP address. */
export function host() {
  return z
    .string()
    .min(1)
    .max(253)
    .meta(
      rules({
        rule: 'isIP(self) || !format.dns1123Subdomain().validate(self).hasValue()',
        message: 'must be a DNS name in lower case or an IP address, without scheme, port or brackets',
      }),
    );
}

/** Key of an entry in a Secret or ConfigMap. */
export function dataKey() {
  return z
    .string()
    .min(1)
    .max(253)
    .meta(
      rules({
        rule: "self.matches('^[-._a-zA-Z0-9]+$')",
        message: 'must be the key of an entry: letters, digits, ".", "_" and "-"',
      }),
    );
}

/** A point in time, UTC, as the operator writes it. */
export function timestamp() {
  return z.iso.datetime();
}

/** A whole number of at most 31 bits. */
export function int32(least: number, most: number = 2_147_483_647) {
  return z.int().min(least).max(most).meta({ format: 'int32' });
}
