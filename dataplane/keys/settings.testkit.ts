/** Settings of a KMS connection for unit tests. The certificate is public and its key was never kept. */
import type { KmsConnectionSettings } from './settings.ts';

/** Self-signed, only ever parsed for its dates. */
export const TEST_CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBgDCCASWgAwIBAgIUeLlOQlgbMOxSOiwowEJichZw2pgwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJdW5pdCB0ZXN0MCAXDTI2MTEyMjE0MjYzNloYDzIxMjYxMDI5
MTQyNjM2WjAUMRIwEAYDVQQDDAl1bml0IHRlc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAS2QlD40IqABBDniNPdM/DSn3jy6j5Bfi/ZK1OEzyTUmq0TunuQUavI
G+s2h1388mZsa2w8WXnGIEQrK6LymzvTo1MwUTAdBgNVHQ4EFgQUYxnM37T8c6uA
dqHjoxK0JDNUaIUwHwYDVR0jBBgwFoAUYxnM37T8c6uAdqHjoxK0JDNUaIUwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEA+XSXCvAcZK6/4KYCp6bf
ZrTtkRHPXjh5s+bIn2nqHQMCIQDbWK7oyEYcSMSqEUUUNhdBkwd6T1YZV5I6gkB0
1JDk1w==
-----END CERTIFICATE-----
`;

export function testSettings(changes: Partial<KmsConnectionSettings> = {}): KmsConnectionSettings {
  return {
    name: 'kms',
    endpoints: [{ host: 'kms.example.com', port: 5696 }],
    tls: { cert: TEST_CERTIFICATE, key: '', ca: TEST_CERTIFICATE },
    protocol: { min: '1.0', max: '1.4' },
    keyNamePrefix: 'sealgate',
    objectGroup: true,
    timeouts: { connectMs: 3000, requestMs: 5000, totalMs: 10_000 },
    cache: { ttlMs: 300_000, staleLimitMs: 3_600_000 },
    ...changes,
  };
}
