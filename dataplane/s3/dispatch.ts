/**
 * The way of one request: target -> route -> authentication -> authorisation -> operation -> answer, and every failure
 * on it.
 */
import { authenticate } from '../auth/authenticate.ts';
import type { SigningKeys } from '../auth/signingKeys.ts';
import type { CarriedHeader, EncryptionHeaders } from '../headers/rules.ts';
import { announcedTrailers, collectEncryptionHeaders, withTrailers } from '../headers/rules.ts';
import { authorize } from './authorize.ts';
import type { Operation, S3Context } from './context.ts';
import { S3Error } from './errors.ts';
import type { Exchange } from './exchange.ts';
import { damagedPlace, isIntegrityFailure, toS3Error } from './faults.ts';
import { requireSoundFraming } from './framing.ts';
import { OPERATIONS } from './operations/operations.ts';
import { postObject } from './operations/postObject.ts';
import type { Target } from './request.ts';
import { HeaderBag } from './request.ts';
import { type OperationName, route, takesBody } from './router.ts';
import type { S3Services } from './services.ts';
import { parseTarget } from './target.ts';
import { checkExpectedBucketOwner, refuseUnbuiltHeaders } from './unbuiltHeaders.ts';

/** As AWS: requests signed further than this from our clock are refused. */
const CLOCK_SKEW_MS = 15 * 60 * 1000;

/**
 * Where a client asks for a bucket's region it cannot sign for it yet, so us-east-1 will do, as it does at AWS. minio-js
 * without a region asks first thing, and takes no hint from an error.
 */
function regionsOf(operation: OperationName, region: string): { region: string; alsoRegion?: string } {
  return operation === 'GetBucketLocation' ? { region, alsoRegion: 'us-east-1' } : { region };
}

/** Serves one exchange to its end. Never rejects. */
export async function dispatch(
  services: S3Services,
  signingKeys: SigningKeys,
  exchange: Exchange,
): Promise<void> {
  const { req, res } = exchange;
  const started = performance.now();
  const log = services.log.child({ requestId: exchange.id });
  const seen: { operation: string; target: Target | null; code: string | null } = {
    operation: 'Unknown',
    target: null,
    code: null,
  };
  services.metrics.requestStarted();
  try {
    const headers = new HeaderBag(req.rawHeaders);
    refuseUnsoundFraming(exchange, headers);
    const host = headers.get('host') ?? '';
    const target = parseTarget(req.method ?? '', req.url ?? '', host, services.settings.domains);
    seen.target = target;
    const operation = route(target, headers);
    seen.operation = operation;
    refuseUnbuiltHeaders(operation, headers);
    const encryption = encryptionHeadersOf(operation, target, headers);
    const parsed = { ...target, id: exchange.id, receivedMs: exchange.receivedMs, headers, encryption };
    const authentication = {
      credentials: services.credentials,
      ...regionsOf(operation, services.settings.region),
      now: () => services.now(),
      clockSkewMs: CLOCK_SKEW_MS,
      signingKeys,
    };
    if (operation === 'PostObject') {
      const request = { ...parsed, operation };
      await exchange.respond(await postObject({ request, exchange, services, log, authentication }));
      return;
    }
    const { principal, payload } = authenticate(target, headers, authentication);
    checkExpectedBucketOwner(headers, principal.ownerId);
    checkExpectedBucketOwner(target.query, principal.ownerId);
    authorize(principal, { ...parsed, operation });
    const request = { ...parsed, operation, principal, payload };
    const context: S3Context = { request, exchange, services, log };
    const run: Operation | undefined = OPERATIONS[operation];
    if (run === undefined) throw new S3Error('NotImplemented');
    await exchange.respond(await run(context));
  } catch (error) {
    const failure = toS3Error(error, services.metrics);
    seen.code = failure.code;
    // What is not built is a client's question, not a fault of ours.
    if (failure.status >= 500 && failure.code !== 'NotImplemented') {
      const level = isIntegrityFailure(error) ? 'error' : 'warn';
      const { operation, target } = seen;
      log[level](
        { err: failure, operation, bucket: logged(target?.bucket), ...damagedPlace(error) },
        'request failed',
      );
    }
    if (!exchange.canAnswer) exchange.destroy();
    else if (exchange.signal.aborted) seen.code = 'ClientGone';
    else await exchange.respondError(failure, seen.target?.rawPath ?? '/');
  } finally {
    const status = exchange.headSent ? res.statusCode : 0;
    const durationMs = performance.now() - started;
    const { bytesIn, bytesOut } = exchange;
    services.metrics.requestFinished({ operation: seen.operation, status, durationMs, bytesIn, bytesOut });
    log.info(
      {
        operation: seen.operation,
        method: req.method,
        bucket: logged(seen.target?.bucket),
        key: logged(seen.target?.key?.toString('utf8')),
        status,
        code: seen.code,
        bytesIn,
        bytesOut,
        durationMs: Math.round(durationMs * 10) / 10,
        complete: res.writableFinished,
      },
      'request',
    );
  }
}

/**
 * A bucket name or key for the log. A presigned URL whose `?` was encoded or lost is one of them, with a signature that
 * still works elsewhere.
 */
function logged(name: string | null | undefined): string | null {
  return name?.replace(/(signature=)[^&]*/gi, '$1[redacted]') ?? null;
}

/** What two servers could read differently ends the connection, so that nothing behind it is taken for a request. */
function refuseUnsoundFraming(exchange: Exchange, headers: HeaderBag): void {
  try {
    requireSoundFraming(headers, exchange.req);
  } catch (error) {
    exchange.endConnection();
    throw error;
  }
}

/**
 * Encryption headers from everywhere they can be carried before the body: headers, query, announced trailers. Where
 * no body is read, an announced trailer never comes.
 */
function encryptionHeadersOf(
  operation: OperationName,
  target: Target,
  headers: HeaderBag,
): EncryptionHeaders {
  const carried: CarriedHeader[] = [];
  for (const [name, value] of headers.entries) carried.push({ name, value, carrier: 'header' });
  for (const [name, value] of target.query.entries) carried.push({ name, value, carrier: 'query' });
  carried.push(...announcedTrailers([...headers.all('trailer'), ...headers.all('x-amz-trailer')]));
  const collected = collectEncryptionHeaders(carried);
  return takesBody(operation) ? collected : withTrailers(collected, []);
}
