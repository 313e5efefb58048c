/** Contents of Secrets as text. */
import { z } from 'zod';
import type { KubeObject } from '../kube/resource.ts';

const data = z.record(z.string(), z.string());

/** The decoded files of a Secret; none for null. */
export function secretFiles(secret: KubeObject | null): Record<string, string> {
  const encoded = data.safeParse(secret?.['data'] ?? {});
  if (!encoded.success) return {};
  return Object.fromEntries(
    Object.entries(encoded.data).map(([name, value]) => [
      name,
      Buffer.from(value, 'base64').toString('utf8'),
    ]),
  );
}
