/** The scalar notations of the configuration file: durations, addresses, names. */
import { isIP } from 'node:net';
import { z } from 'zod';
import type { ListenAddress } from './settings.ts';

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const DURATION = /^(?:\d{1,6}(?:ms|s|m|h)){1,4}$/;

function durationMs(text: string): number {
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|s|m|h)/g))
    sum += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0);
  return sum;
}

/** A duration such as `5m`, `1h30m`, `0s`, between two others (inclusive); becomes milliseconds. */
export function duration(least: string, most: string) {
  return z
    .string()
    .regex(DURATION, 'must be a duration such as 500ms, 5m or 1h30m')
    .refine(
      (text) =>
        !DURATION.test(text) ||
        (durationMs(text) >= durationMs(least) && durationMs(text) <= durationMs(most)),
      {
        error: `must be between ${least} and ${most}`,
      },
    )
    .transform(durationMs);
}

const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*$/;

function parseListen(text: string): ListenAddress | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (match === null || host === undefined || port > 65_535) return null;
  const valid = match[1] === undefined ? isIP(host) === 4 || HOST_NAME.test(host) : isIP(host) === 6;
  return valid ? { host, port } : null;
}

/** `host:port` to listen on; IPv6 in brackets. Becomes a ListenAddress. */
export const listenAddress = z.string().transform((text, context): ListenAddress => {
  const address = parseListen(text);
  if (address !== null) return address;
  context.addIssue({ code: 'custom', message: 'must be host:port, such as 127.0.0.1:9000 or [::]:9000' });
  return z.NEVER;
});

/** A DNS name or an IP address, without scheme, port or brackets. */
export const hostName = z.string().refine((text) => isIP(text) !== 0 || HOST_NAME.test(text), {
  error: 'must be a DNS name or an IP address, without scheme, port or brackets',
});

/** A DNS name; becomes lower case. */
export const domainName = z
  .string()
  .refine((text) => isIP(text) === 0 && HOST_NAME.test(text), {
    error: 'must be a DNS name such as s3.example.com',
  })
  .transform((text) => text.toLowerCase());

/** Path of a file; relative ones count from the folder of the configuration file. */
export const filePath = z
  .string()
  .refine((text) => text !== '' && !text.includes('\0'), { error: 'must be a path' });
