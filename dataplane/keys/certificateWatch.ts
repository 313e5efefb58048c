/** Says in time, in the log, that a certificate between us and a KMS ends: at 30, 7 and 1 days, and when it has ended. */
import type { LogFields, LogLevel } from './messages.ts';

const DAY_MS = 24 * 3_600_000;
/** Days before the end at which a certificate is spoken of. */
const STEPS: readonly number[] = [0, 1, 7, 30];

export interface WatchedCertificate {
  readonly connection: string;
  readonly certificate: 'client' | 'server';
  /** host:port, of a server's certificate. */
  readonly endpoint: string | null;
  /** Unix ms. */
  readonly expiresMs: number;
}

export class CertificateWatch {
  /** Certificate and its end → the step that was told last. */
  #told = new Map<string, number>();

  /** Logs each certificate that has come to a further step since the last look. `nowMs` is Unix time. */
  look(
    certificates: readonly WatchedCertificate[],
    nowMs: number,
    log: (level: LogLevel, fields: LogFields, message: string) => void,
  ): void {
    const told = this.#told;
    this.#told = new Map();
    for (const { expiresMs, ...which } of certificates) {
      const step = STEPS.find((days) => expiresMs - nowMs <= days * DAY_MS);
      if (step === undefined) continue;
      const id = JSON.stringify([which, expiresMs]);
      this.#told.set(id, step);
      if (told.get(id) === step) continue;
      const fields = { ...which, notAfter: new Date(expiresMs).toISOString() };
      if (step === 0) log('error', fields, 'a certificate of the KMS connection has expired');
      else log('warn', fields, 'a certificate of the KMS connection expires soon: replace it');
    }
  }
}
