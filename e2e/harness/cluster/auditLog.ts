/** The API server's audit log: who asked for what, and what was answered (audit.k8s.io/v1 Event). */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';

const auditEvent = z.object({
  stage: z.string(),
  verb: z.string(),
  requestURI: z.string(),
  user: z.object({ username: z.string(), groups: z.array(z.string()).default([]) }),
  userAgent: z.string().optional(),
  objectRef: z
    .object({
      resource: z.string(),
      apiGroup: z.string().default(''),
      subresource: z.string().optional(),
      namespace: z.string().optional(),
      name: z.string().optional(),
    })
    .optional(),
  responseStatus: z.object({ code: z.number().optional() }).optional(),
});

/** One request at one stage. */
export type AuditEvent = z.infer<typeof auditEvent>;

/** All events of a log, in order. A line that is being written is left out. */
export async function readAuditLog(file: string): Promise<AuditEvent[]> {
  const text = await readFile(file, 'utf8');
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => auditEvent.parse(JSON.parse(line)));
}
