/** What an operation is given, and the checks that all operations share, in the order of docs/header-rules.md. */
import type { Logger } from 'pino';
import type { AuthenticationDeps } from '../auth/credentials.ts';
import type { EncryptionHeaders, RuleSubject } from '../headers/rules.ts';
import { decide, REFUSAL_MESSAGE } from '../headers/rules.ts';
import type { BucketDocument } from '../metadata/metadata.ts';
import { S3Error } from './errors.ts';
import type { Exchange, S3Response } from './exchange.ts';
import type { Principal, S3Request } from './request.ts';
import type { S3Services } from './services.ts';

export interface S3Context {
  readonly request: S3Request;
  readonly exchange: Exchange;
  readonly services: S3Services;
  readonly log: Logger;
}

export type Operation = (context: S3Context) => Promise<S3Response>;

/** A form upload: who sends it is not known before its fields were read. */
export interface PostContext extends Omit<S3Context, 'request'> {
  readonly request: Omit<S3Request, 'principal' | 'payload'>;
  /** What authenticates the policy among the fields. */
  readonly authentication: AuthenticationDeps;
}

/** The bucket of a request that the principal may use. 404 NoSuchBucket, 403 AccessDenied. */
export async function requireBucket(
  services: S3Services,
  principal: Principal,
  name: string | null,
): Promise<BucketDocument> {
  const bucket = name === null ? null : await services.metadata.bucket(name);
  // A bucket whose key is not ready exists for nobody but the CreateBucket that resumes it.
  if (bucket === null || bucket.state !== 'Ready') {
    throw new S3Error('NoSuchBucket', undefined, { details: { BucketName: name ?? '' } });
  }
  if (bucket.ownerId !== principal.ownerId) throw new S3Error('AccessDenied');
  return bucket;
}

/** Refuses what only the resource that declared the bucket may do. 409 InvalidBucketState, with its name. */
export function refuseDeclared({ owner }: BucketDocument, what: string): void {
  if (owner === null) return;
  throw new S3Error(
    'InvalidBucketState',
    `The bucket is declared by the resource ${owner}, which alone ${what}.`,
  );
}

/** The object key of a request to an object. */
export function requireKey(request: { readonly key: Buffer | null }): Buffer {
  if (request.key === null) throw new S3Error('InvalidURI');
  return request.key;
}

/** Applies the decision table. A refusal is 400 InvalidArgument and is counted; the value of a customer key is never shown. */
export function checkEncryptionHeaders(
  context: Pick<S3Context, 'services'> & { readonly request: Pick<S3Request, 'operation' | 'encryption'> },
  subject: RuleSubject,
  headers: EncryptionHeaders = context.request.encryption,
): { readonly encrypted: boolean } {
  const verdict = decide(subject, headers);
  if (verdict.allowed) return verdict;
  context.services.metrics.encryptionHeadersRefused(context.request.operation);
  const { argumentName, argumentValue } = verdict;
  const details = {
    ArgumentName: argumentName,
    ...(argumentValue === undefined ? {} : { ArgumentValue: argumentValue }),
  };
  throw new S3Error('InvalidArgument', REFUSAL_MESSAGE, { details });
}
