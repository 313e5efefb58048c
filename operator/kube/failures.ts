/** Turns what the API server answers into KubeErrors. */
import { parseStatus, type Status } from './answers.ts';
import { KubeError, type KubeErrorCode } from './kubeApi.ts';

const BY_STATUS: ReadonlyMap<number, KubeErrorCode> = new Map([
  [400, 'Invalid'],
  // It says who asks, and nothing of what is asked for: as Forbidden it would stand for what is not there.
  [401, 'Unavailable'],
  [403, 'Forbidden'],
  [404, 'NotFound'],
  [409, 'Conflict'],
  [410, 'Expired'],
  [422, 'Invalid'],
  [429, 'TooManyRequests'],
]);

function codeOf(httpStatus: number, reason: string): KubeErrorCode {
  if (httpStatus === 409 && reason === 'AlreadyExists') return 'AlreadyExists';
  return BY_STATUS.get(httpStatus) ?? (httpStatus >= 500 ? 'Unavailable' : 'Unexpected');
}

/** Seconds or an HTTP date; null: none or not readable (RFC 9110, 10.2.3). */
function headerDelayMs(header: string | undefined, wallMs: number): number | null {
  if (header === undefined) return null;
  if (/^\d{1,6}$/.test(header)) return Number(header) * 1_000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, date - wallMs);
}

export interface FailedAnswer {
  readonly httpStatus: number;
  readonly retryAfter: string | undefined;
  /** What was parsed from the body; undefined: not JSON. */
  readonly answer: unknown;
  readonly wallMs: number;
}

/** The error of an answer that is not a success; `what` is such as `get ConfigMap a/b`. */
export function failureOf(what: string, failed: FailedAnswer): KubeError {
  const status = parseStatus(failed.answer);
  const told = status.retryAfterSeconds === null ? null : status.retryAfterSeconds * 1_000;
  return failure(what, failed.httpStatus, status, headerDelayMs(failed.retryAfter, failed.wallMs) ?? told);
}

/** The error of an ERROR event in a watch. */
export function watchFailure(what: string, status: Status): KubeError {
  const told = status.retryAfterSeconds === null ? null : status.retryAfterSeconds * 1_000;
  // Some versions send a Status without a code.
  const httpStatus = status.code === 0 && /^(Expired|Gone)$/.test(status.reason) ? 410 : status.code;
  return failure(what, httpStatus, status, told);
}

function failure(what: string, httpStatus: number, status: Status, retryAfterMs: number | null): KubeError {
  const reason = status.reason === '' ? `HTTP ${httpStatus}` : `${status.reason} (HTTP ${httpStatus})`;
  const causes = status.causes.length === 0 ? '' : ` [${status.causes.join(', ')}]`;
  return new KubeError(codeOf(httpStatus, status.reason), `${what}: ${reason}${causes}`, {
    status: httpStatus,
    retryAfterMs,
  });
}
