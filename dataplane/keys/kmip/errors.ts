/** Failures of one KMIP exchange, before they are judged (reasons.ts) and told to callers as KmsError. */

export type KmipErrorCode =
  /** No connection, or it ended: refused, reset, TLS failure. */
  | 'Connection'
  /** No answer in time. */
  | 'Timeout'
  /** The answer cannot be understood. */
  | 'Malformed'
  /** The server answered with a failure; `reason` says which. */
  | 'Result'
  /** The server shows the key as Pre-Active; replication may be behind. */
  | 'PreActive'
  /** No connection became free in time: more is asked than the server does. */
  | 'Busy'
  /** Something is missing on one endpoint, and no second one could be asked. */
  | 'Unconfirmed';

/** Messages carry no values of items, so no key and no password. */
export class KmipError extends Error {
  readonly code: KmipErrorCode;
  /** KMIP Result Reason, with code 'Result'. */
  readonly reason: number | null;
  /** True once a byte of the request may have reached the server. */
  readonly sent: boolean;
  constructor(
    code: KmipErrorCode,
    message: string,
    options: ErrorOptions & { sent: boolean; reason?: number | null },
  ) {
    super(message, options);
    this.name = 'KmipError';
    this.code = code;
    this.reason = options.reason ?? null;
    this.sent = options.sent;
  }
}
