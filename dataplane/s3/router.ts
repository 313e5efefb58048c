/**
 * From method, path and query to the S3 operation that is asked for.
 *
 * Owns the names of the operations, the query names that each one takes, and the answer 501 to everything that is
 * not built: `PUT key?tagging` must never overwrite the object. It must not authenticate nor look at any state.
 */
import { isEncryptionHeader } from '../headers/rules.ts';
import { S3Error } from './errors.ts';
import type { HeaderBag, Target } from './request.ts';
import { refuseUnbuiltHeaders } from './unbuiltHeaders.ts';

type Level = 'service' | 'bucket' | 'object';
type Method = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';

interface Route {
  readonly level: Level;
  readonly method: Method;
  /** Query names that must all be there for this route to be meant; the first route that fits is taken. */
  readonly selectors: readonly string[];
  /** Further query names that the operation understands. */
  readonly parameters: readonly string[];
}

const LISTING = ['prefix', 'delimiter', 'encoding-type'];
const READING = [
  'partNumber',
  'versionId',
  'response-content-type',
  'response-content-language',
  'response-expires',
  'response-cache-control',
  'response-content-disposition',
  'response-content-encoding',
];

/** What is built. A route with more selectors stands before one with fewer. */
// biome-ignore format: a table
const ROUTES = {
  ListBuckets:             { level: 'service', method: 'GET',    selectors: [],                        parameters: ['prefix', 'max-buckets', 'continuation-token', 'bucket-region'] },

  GetBucketLocation:       { level: 'bucket',  method: 'GET',    selectors: ['location'],              parameters: [] },
  GetBucketEncryption:     { level: 'bucket',  method: 'GET',    selectors: ['encryption'],            parameters: [] },
  ListMultipartUploads:    { level: 'bucket',  method: 'GET',    selectors: ['uploads'],               parameters: [...LISTING, 'key-marker', 'upload-id-marker', 'max-uploads'] },
  ListObjectsV2:           { level: 'bucket',  method: 'GET',    selectors: ['list-type'],             parameters: [...LISTING, 'continuation-token', 'start-after', 'fetch-owner', 'max-keys'] },
  ListObjects:             { level: 'bucket',  method: 'GET',    selectors: [],                        parameters: [...LISTING, 'marker', 'max-keys'] },
  HeadBucket:              { level: 'bucket',  method: 'HEAD',   selectors: [],                        parameters: [] },
  PutBucketEncryption:     { level: 'bucket',  method: 'PUT',    selectors: ['encryption'],            parameters: [] },
  CreateBucket:            { level: 'bucket',  method: 'PUT',    selectors: [],                        parameters: [] },
  DeleteBucketEncryption:  { level: 'bucket',  method: 'DELETE', selectors: ['encryption'],            parameters: [] },
  DeleteBucket:            { level: 'bucket',  method: 'DELETE', selectors: [],                        parameters: [] },
  DeleteObjects:           { level: 'bucket',  method: 'POST',   selectors: ['delete'],                parameters: [] },
  PostObject:              { level: 'bucket',  method: 'POST',   selectors: [],                        parameters: [] },

  ListParts:               { level: 'object',  method: 'GET',    selectors: ['uploadId'],              parameters: ['max-parts', 'part-number-marker'] },
  GetObject:               { level: 'object',  method: 'GET',    selectors: [],                        parameters: READING },
  HeadObject:              { level: 'object',  method: 'HEAD',   selectors: [],                        parameters: READING },
  UploadPart:              { level: 'object',  method: 'PUT',    selectors: ['partNumber', 'uploadId'], parameters: [] },
  PutObject:               { level: 'object',  method: 'PUT',    selectors: [],                        parameters: [] },
  CreateMultipartUpload:   { level: 'object',  method: 'POST',   selectors: ['uploads'],               parameters: [] },
  CompleteMultipartUpload: { level: 'object',  method: 'POST',   selectors: ['uploadId'],              parameters: [] },
  AbortMultipartUpload:    { level: 'object',  method: 'DELETE', selectors: ['uploadId'],              parameters: [] },
  DeleteObject:            { level: 'object',  method: 'DELETE', selectors: [],                        parameters: ['versionId'] },
} as const satisfies Record<string, Route>;

/** The S3 operations that are built. The two copies differ from a PUT by a header alone. */
export type OperationName = keyof typeof ROUTES | 'CopyObject' | 'UploadPartCopy';

const TAKES_BODY: ReadonlySet<OperationName> = new Set([
  ...(['CreateBucket', 'PutBucketEncryption', 'DeleteObjects', 'PostObject'] as const),
  ...(['PutObject', 'UploadPart', 'CompleteMultipartUpload'] as const),
]);

/** Whether the operation reads its body to the end, and with it the trailers. */
export function takesBody(operation: OperationName): boolean {
  return TAKES_BODY.has(operation);
}

type RoutedName = keyof typeof ROUTES;

const ROUTED_NAMES = Object.keys(ROUTES) as RoutedName[];

const SELECTORS: ReadonlySet<string> = new Set(ROUTED_NAMES.flatMap((name) => ROUTES[name].selectors));
const PARAMETERS: ReadonlySet<string> = new Set(ROUTED_NAMES.flatMap((name) => ROUTES[name].parameters));

/** Sub-resources of S3 that are not built, on buckets or objects. New ones are caught by the rules of checkNames(). */
const UNBUILT: ReadonlySet<string> = words(
  'abac accelerate acl analytics annotation attributes cors intelligent-tiering inventory legal-hold lifecycle',
  'logging metadataAnnotationTable metadataConfiguration metadataInventoryTable metadataJournalTable metadataTable',
  'metrics notification object-lock ownershipControls policy policyStatus publicAccessBlock renameObject',
  'replication requestPayment restore retention select select-type session tagging torrent versioning versions',
  'website',
);

/**
 * Names that any request may carry in its query, in lower case: they authenticate it (those of signature version 2
 * too, so that authentication can say what is wrong), trace it, or are headers that a presigner moved there.
 */
const CARRIED_EVERYWHERE: ReadonlySet<string> = words(
  'x-amz-algorithm x-amz-credential x-amz-date x-amz-expires x-amz-signedheaders x-amz-signature',
  'x-amz-security-token x-amz-content-sha256 awsaccesskeyid signature expires x-id x-amz-user-agent',
  'x-amz-sdk-checksum-algorithm x-amz-request-payer x-amz-expected-bucket-owner x-amz-acl x-amz-storage-class',
);

/**
 * The operation that the request asks for, by method, level (service, bucket, object), query and the two headers
 * that S3 routes by: x-amz-copy-source and the Content-Type of a form.
 *
 * @throws S3Error NotImplemented: anything that is not built, before all else; MethodNotAllowed;
 *   InvalidArgument: a repeated or missing query parameter, an unknown list-type;
 *   PreconditionFailed: POST to a bucket that is not a form; and what refuseUnbuiltHeaders() says of the query
 */
export function route(target: Target, headers: HeaderBag): OperationName {
  const { method, query } = target;
  const level = target.bucket === null ? 'service' : target.key === null ? 'bucket' : 'object';
  for (const [name] of query.entries) if (UNBUILT.has(name)) throw notBuilt(name);
  if (method === 'OPTIONS') throw new S3Error('NotImplemented');
  const found = ROUTED_NAMES.find((name) => fits(ROUTES[name], level, target));
  checkNames(found === undefined ? undefined : ROUTES[found], level, target);
  if (found === undefined) throw methodNotAllowed(level, method);
  checkValues(ROUTES[found], target);
  refuseUnbuiltHeaders(found, query);
  if (found === 'PostObject') requireForm(headers);
  if (headers.has('x-amz-copy-source')) {
    if (found === 'PutObject') return 'CopyObject';
    if (found === 'UploadPart') return 'UploadPartCopy';
  }
  return found;
}

function fits(route: Route, level: Level, target: Target): boolean {
  if (route.level !== level || route.method !== target.method) return false;
  return route.selectors.length === 0 || route.selectors.some((name) => target.query.has(name));
}

/**
 * Refuses names that the operation does not understand. A write refuses every one. A read refuses names without a
 * value, for that is how S3 spells a sub-resource; it ignores `name=value`, and parameters of other listings.
 */
function checkNames(route: Route | undefined, level: Level, target: Target): void {
  const reads = target.method === 'GET' || target.method === 'HEAD';
  for (const [name, value] of target.query.entries) {
    if (route !== undefined && (route.selectors.includes(name) || route.parameters.includes(name))) continue;
    if (isCarriedEverywhere(name.toLowerCase())) continue;
    if (ROUTED_NAMES.some((other) => selects(ROUTES[other], level, name)))
      throw methodNotAllowed(level, target.method);
    if (!reads || SELECTORS.has(name) || (value === '' && !PARAMETERS.has(name))) throw notBuilt(name);
  }
}

function selects(route: Route, level: Level, name: string): boolean {
  return route.level === level && route.selectors.includes(name);
}

function isCarriedEverywhere(name: string): boolean {
  return CARRIED_EVERYWHERE.has(name) || name.startsWith('x-amz-checksum-') || isEncryptionHeader(name);
}

function checkValues(route: Route, target: Target): void {
  const { query } = target;
  for (const name of [...route.selectors, ...route.parameters]) {
    const times = query.entries.filter((entry) => entry[0] === name).length;
    if (times > 1) throw argument(name, 'A query parameter must not be given more than once.');
    if (times === 0 && route.selectors.includes(name))
      throw argument(name, 'A required query parameter is missing.');
  }
  const versionId = query.get('versionId');
  if (versionId !== undefined && versionId !== 'null') throw notBuilt('versionId');
  const listType = query.get('list-type');
  if (route.selectors.includes('list-type') && listType !== '2') {
    throw argument('list-type', 'Invalid List Type specified in Query');
  }
}

function requireForm(headers: HeaderBag): void {
  if (/^\s*multipart\/form-data\s*(?:;|$)/i.test(headers.get('content-type') ?? '')) return;
  const details = { Condition: 'Bucket POST must be of the enclosure-type multipart/form-data' };
  throw new S3Error('PreconditionFailed', undefined, { details });
}

function notBuilt(name: string): S3Error {
  return new S3Error('NotImplemented', undefined, { details: { ArgumentName: name } });
}

function methodNotAllowed(level: Level, method: string): S3Error {
  return new S3Error('MethodNotAllowed', undefined, {
    details: { Method: method, ResourceType: level.toUpperCase() },
  });
}

function argument(name: string, message: string): S3Error {
  return new S3Error('InvalidArgument', message, { details: { ArgumentName: name } });
}

function words(...lines: readonly string[]): ReadonlySet<string> {
  return new Set(lines.flatMap((line) => line.split(' ')));
}
