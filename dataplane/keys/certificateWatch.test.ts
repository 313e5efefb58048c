import { expect, test } from 'vitest';
import { CertificateWatch, type WatchedCertificate } from './certificateWatch.ts';

const DAY_MS = 24 * 3_600_000;
const END_MS = 2_000_000_000_000;
const CLIENT: WatchedCertificate = {
  connection: 'kms',
  certificate: 'client',
  endpoint: null,
  expiresMs: END_MS,
};

test('each step towards the end is told once', () => {
  const watch = new CertificateWatch();
  const told: string[] = [];
  for (let left = 40; left >= -2; left -= 0.5) {
    watch.look([CLIENT], END_MS - left * DAY_MS, (level, fields) =>
      told.push(`${left} ${level} ${fields['notAfter']}`),
    );
  }
  const end = new Date(END_MS).toISOString();
  expect(told).toEqual([`30 warn ${end}`, `7 warn ${end}`, `1 warn ${end}`, `0 error ${end}`]);
});

test('certificates are told apart by endpoint, and a new one starts anew', () => {
  const watch = new CertificateWatch();
  const told: string[] = [];
  const look = (certificates: readonly WatchedCertificate[]) =>
    watch.look(certificates, END_MS - DAY_MS / 2, (level, fields) =>
      told.push(`${level} ${fields['certificate']} ${fields['endpoint']}`),
    );
  const servers = ['a:5696', 'b:5696'].map(
    (endpoint): WatchedCertificate => ({ ...CLIENT, certificate: 'server', endpoint }),
  );
  look([CLIENT, ...servers]);
  look([CLIENT, ...servers]);
  look([{ ...CLIENT, expiresMs: END_MS + 90 * DAY_MS }, ...servers]);
  look([CLIENT, ...servers]);
  expect(told).toEqual(['warn client null', 'warn server a:5696', 'warn server b:5696', 'warn client null']);
});
