import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { S3Error, type S3ErrorCode } from './errors.ts';
import { HeaderBag } from './request.ts';
import { type OperationName, route, takesBody } from './router.ts';
import { parseTarget } from './target.ts';

const FORM = ['Content-Type', 'multipart/form-data; boundary=x'];
const COPY = ['x-amz-copy-source', '/b/source'];

function answer(method: string, url: string, headers: readonly string[] = []): string {
  try {
    return route(parseTarget(method, url, 'h', []), new HeaderBag(headers));
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
}

type Case = [method: string, url: string, operation: OperationName, headers?: readonly string[]];

// biome-ignore format: a table
const BUILT: readonly Case[] = [
  ['GET',    '/',                                                'ListBuckets'],
  ['GET',    '/?x-id=ListBuckets',                               'ListBuckets'],
  ['GET',    '/?prefix=a&max-buckets=5&continuation-token=t&bucket-region=r', 'ListBuckets'],
  ['PUT',    '/b',                                               'CreateBucket'],
  ['PUT',    '/b/',                                              'CreateBucket'],
  ['HEAD',   '/b',                                               'HeadBucket'],
  ['DELETE', '/b',                                               'DeleteBucket'],
  ['GET',    '/b?location',                                      'GetBucketLocation'],
  ['GET',    '/b/?location=',                                    'GetBucketLocation'],
  ['PUT',    '/b?encryption',                                    'PutBucketEncryption'],
  ['GET',    '/b?encryption',                                    'GetBucketEncryption'],
  ['DELETE', '/b?encryption',                                    'DeleteBucketEncryption'],
  ['GET',    '/b',                                               'ListObjects'],
  ['GET',    '/b?prefix=&delimiter=%2F&marker=&max-keys=10&encoding-type=url', 'ListObjects'],
  ['GET',    '/b?list-type=2',                                   'ListObjectsV2'],
  ['GET',    '/b/?list-type=2&prefix=&delimiter=&continuation-token=t&start-after=&fetch-owner=true&max-keys=1&encoding-type=url', 'ListObjectsV2'],
  ['GET',    '/b?list-type=2&marker=',                           'ListObjectsV2'],
  ['GET',    '/b?uploads',                                       'ListMultipartUploads'],
  ['GET',    '/b?uploads=&prefix=&delimiter=&key-marker=&upload-id-marker=&max-uploads=1&encoding-type=url', 'ListMultipartUploads'],
  ['POST',   '/b?delete',                                        'DeleteObjects'],
  ['POST',   '/b?delete=',                                       'DeleteObjects'],
  ['POST',   '/b',                                               'PostObject', FORM],
  ['POST',   '/b/',                                              'PostObject', ['content-type', 'Multipart/Form-Data']],
  ['PUT',    '/b/k',                                             'PutObject'],
  ['PUT',    '/b/k?x-id=PutObject',                              'PutObject'],
  ['GET',    '/b/k',                                             'GetObject'],
  ['GET',    '/b/k?partNumber=2&versionId=null',                 'GetObject'],
  ['GET',    '/b/k?response-content-type=a&response-content-language=b&response-expires=c&response-cache-control=d&response-content-disposition=e&response-content-encoding=f', 'GetObject'],
  ['HEAD',   '/b/k?partNumber=1&response-content-type=a',        'HeadObject'],
  ['DELETE', '/b/k',                                             'DeleteObject'],
  ['DELETE', '/b/k?versionId=null',                              'DeleteObject'],
  ['PUT',    '/b/k',                                             'CopyObject', COPY],
  ['PUT',    '/b/k',                                             'CopyObject', ['X-Amz-Copy-Source', '']],
  ['POST',   '/b/k?uploads',                                     'CreateMultipartUpload'],
  ['POST',   '/b/k?uploads=&x-id=CreateMultipartUpload',         'CreateMultipartUpload'],
  ['PUT',    '/b/k?partNumber=1&uploadId=u',                     'UploadPart'],
  ['PUT',    '/b/k?uploadId=u&partNumber=0',                     'UploadPart'],
  ['PUT',    '/b/k?partNumber=1&uploadId=u',                     'UploadPartCopy', COPY],
  ['POST',   '/b/k?uploadId=u',                                  'CompleteMultipartUpload'],
  ['DELETE', '/b/k?uploadId=u',                                  'AbortMultipartUpload'],
  ['GET',    '/b/k?uploadId=u&max-parts=1&part-number-marker=1', 'ListParts'],
  // Unknown name=value is ignored on reads, and so are the parameters of other reads.
  ['GET',    '/b/k?cache=bust',                                  'GetObject'],
  ['GET',    '/b?foo=bar&prefix=a',                              'ListObjects'],
  ['GET',    '/b/k?prefix=',                                     'GetObject'],
  ['HEAD',   '/b?foo=bar',                                       'HeadBucket'],
];

/** Sub-resources of S3 that are not built, on the level at which S3 has them. */
const UNBUILT_BUCKET = [
  'acl tagging policy policyStatus versioning versions cors lifecycle replication object-lock website logging',
  'notification accelerate requestPayment inventory analytics metrics intelligent-tiering ownershipControls',
  'publicAccessBlock abac metadataTable session',
].flatMap((line) => line.split(' '));
const UNBUILT_OBJECT = [
  'acl tagging retention legal-hold torrent restore select attributes encryption annotation renameObject versions',
  'policy location',
].flatMap((line) => line.split(' '));
const METHODS = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'PATCH'];

describe('route', () => {
  it.each(BUILT)('takes %s %s for %s', (method, url, operation, headers) => {
    expect(answer(method, url, headers)).toBe(operation);
  });

  it('is tried here with every operation', () => {
    expect(new Set(BUILT.map((it) => it[2])).size).toBe(24);
  });

  it.each(BUILT)('takes %s %s with a presigned query for %s', (method, url, operation, headers) => {
    const presigned = [
      'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=k%2F20260101%2Fus-east-1%2Fs3%2Faws4_request',
      'X-Amz-Date=20260101T000000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=0',
      'X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&X-Amz-Security-Token=&x-amz-checksum-crc32=AAAAAA%3D%3D',
      'x-amz-sdk-checksum-algorithm=CRC32&x-amz-checksum-mode=ENABLED&x-id=X&x-amz-acl=private',
      'x-amz-server-side-encryption=AES256&X-Amz-Scal-Server-Side-Encryption=&x-amz-expected-bucket-owner=1',
    ].join('&');
    expect(answer(method, url + (url.includes('?') ? '&' : '?') + presigned, headers)).toBe(operation);
  });

  it.each(METHODS)('answers NotImplemented to %s of every sub-resource that is not built', (method) => {
    for (const headers of [[], FORM, COPY]) {
      for (const name of UNBUILT_BUCKET) {
        expect(answer(method, `/b?${name}`, headers), name).toBe('NotImplemented');
        expect(answer(method, `/b?x-id=1&${name}=1&list-type=2`, headers), name).toBe('NotImplemented');
      }
      for (const name of UNBUILT_OBJECT) {
        expect(answer(method, `/b/k?${name}`, headers), name).toBe('NotImplemented');
        expect(answer(method, `/b/k?versionId=null&${name}`, headers), name).toBe('NotImplemented');
      }
    }
  });

  it.each(['/', '/b', '/b/k'])('answers NotImplemented to a preflight of %s', (url) => {
    expect(answer('OPTIONS', url)).toBe('NotImplemented');
  });

  it.each<[method: string, url: string, code: S3ErrorCode, headers?: readonly string[]]>([
    ['PUT', '/b/k?foo', 'NotImplemented'],
    ['PUT', '/b/k?foo=bar', 'NotImplemented'],
    ['PUT', '/b/k?versionId=null', 'NotImplemented'],
    ['PUT', '/b/k?prefix=a', 'NotImplemented'],
    ['PUT', '/b/k?x-amz-tagging=a%3Db', 'NotImplemented'],
    ['PUT', '/b/k?x-amz-meta-a=b', 'NotImplemented'],
    ['PUT', '/b/k?x-amz-copy-source=%2Fb%2Fs', 'NotImplemented'],
    ['PUT', '/b/k?Tagging', 'NotImplemented'],
    ['PUT', '/b/k?x-amz-acl=public-read', 'AccessControlListNotSupported'],
    ['PUT', '/b/k?X-Amz-Storage-Class=GLACIER', 'InvalidStorageClass'],
    ['DELETE', '/b?force=true', 'NotImplemented'],
    ['POST', '/b?foo=bar', 'NotImplemented', FORM],
    ['POST', '/?Action=ListUsers', 'NotImplemented'],
    ['POST', '/b/k?uploads&foo=1', 'NotImplemented'],
    ['GET', '/b/k?foo', 'NotImplemented'],
    ['GET', '/b?foo=', 'NotImplemented'],
    ['HEAD', '/b?foo', 'NotImplemented'],
    ['GET', '/b/k?list-type=2', 'NotImplemented'],
    ['GET', '/b?uploadId=u', 'NotImplemented'],
    ['GET', '/b/k?versionId=abc', 'NotImplemented'],
    ['HEAD', '/b/k?versionId=', 'NotImplemented'],
    ['DELETE', '/b/k?versionId=abc', 'NotImplemented'],
    ['POST', '/', 'MethodNotAllowed'],
    ['PUT', '/', 'MethodNotAllowed'],
    ['HEAD', '/', 'MethodNotAllowed'],
    ['DELETE', '/', 'MethodNotAllowed'],
    ['PATCH', '/b', 'MethodNotAllowed'],
    ['get', '/b', 'MethodNotAllowed'],
    ['TRACE', '/b/k', 'MethodNotAllowed'],
    ['POST', '/b/k', 'MethodNotAllowed', FORM],
    ['PUT', '/b?location', 'MethodNotAllowed'],
    ['DELETE', '/b?location', 'MethodNotAllowed'],
    ['DELETE', '/b?uploads', 'MethodNotAllowed'],
    ['PUT', '/b?delete', 'MethodNotAllowed'],
    ['HEAD', '/b?encryption', 'MethodNotAllowed'],
    ['DELETE', '/b?list-type=2', 'MethodNotAllowed'],
    ['DELETE', '/b/k?uploads', 'MethodNotAllowed'],
    ['DELETE', '/b/k?partNumber=1', 'MethodNotAllowed'],
    ['HEAD', '/b/k?uploadId=u', 'MethodNotAllowed'],
    ['GET', '/b?location&encryption', 'MethodNotAllowed'],
    ['GET', '/b?list-type=1', 'InvalidArgument'],
    ['GET', '/b?list-type=', 'InvalidArgument'],
    ['PUT', '/b/k?partNumber=1', 'InvalidArgument'],
    ['PUT', '/b/k?uploadId=u', 'InvalidArgument'],
    ['PUT', '/b/k?partNumber=1&partNumber=2&uploadId=u', 'InvalidArgument'],
    ['GET', '/b?prefix=a&prefix=b', 'InvalidArgument'],
    ['POST', '/b', 'PreconditionFailed'],
    ['POST', '/b', 'PreconditionFailed', ['content-type', 'application/x-www-form-urlencoded']],
    ['POST', '/b', 'PreconditionFailed', ['content-type', 'multipart/form-data-x']],
  ])('answers %s %s with %s', (method, url, code, headers) => {
    expect(answer(method, url, headers)).toBe(code);
  });

  it('never takes a write with any further query name for an operation', () => {
    const writes = BUILT.filter(([method]) => method !== 'GET' && method !== 'HEAD');
    const known = new Set([
      'uploads',
      'uploadId',
      'partNumber',
      'delete',
      'encryption',
      'versionId',
      'location',
    ]);
    const name = fc
      .stringMatching(/^[a-zA-Z][a-zA-Z-]{0,20}$/)
      .filter((it) => !known.has(it) && !/^(?:x-id|expires|signature)$/i.test(it));
    fc.assert(
      fc.property(
        fc.constantFrom(...writes),
        name,
        fc.boolean(),
        ([method, url, , headers], extra, valued) => {
          const code = answer(
            method,
            `${url}${url.includes('?') ? '&' : '?'}${extra}${valued ? '=1' : ''}`,
            headers,
          );
          expect(['NotImplemented', 'MethodNotAllowed']).toContain(code);
        },
      ),
    );
  });
});

describe('takesBody', () => {
  it('holds for the operations that have one', () => {
    const operations = new Set(BUILT.map((it) => it[2]));
    expect([...operations].filter(takesBody).toSorted()).toEqual([
      'CompleteMultipartUpload',
      'CreateBucket',
      'DeleteObjects',
      'PostObject',
      'PutBucketEncryption',
      'PutObject',
      'UploadPart',
    ]);
  });
});
