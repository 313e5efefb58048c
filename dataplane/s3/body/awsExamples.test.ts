import { describe, expect, it } from 'vitest';
import { SCOPE, signingKey, TIMESTAMP } from '../../auth/signer.testkit.ts';
import type { PayloadForm } from '../request.ts';
import { CRC, decode } from './decode.testkit.ts';

describe('the chunked uploads that AWS publishes', () => {
  // S3 API, "Transferring payload in multiple chunks" and "Including trailing headers".
  const a = (size: number): Buffer => Buffer.alloc(size, 'a');
  const published = (seedSignature: string, trailer: boolean): PayloadForm => ({
    kind: 'aws-chunked',
    trailer,
    signing: { signingKey: signingKey(), timestamp: TIMESTAMP, scope: SCOPE, seedSignature },
  });
  const body = (first: string, second: string, last: string, rest: string): Buffer =>
    Buffer.concat([
      Buffer.from(`10000;chunk-signature=${first}\r\n`),
      a(65536),
      Buffer.from(`\r\n400;chunk-signature=${second}\r\n`),
      a(1024),
      Buffer.from(`\r\n0;chunk-signature=${last}\r\n${rest}\r\n`),
    ]);

  it('decode without a trailer', () => {
    const payload = published('4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9', false);
    const wire = body(
      'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
      '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
      'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
      '',
    );
    expect(wire.length).toBe(66824);
    expect(decode(payload, wire, { decodedLength: 66560 })).toEqual({ content: a(66560), trailers: [] });
  });

  it('decode with a trailer', () => {
    const payload = published('106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e', true);
    const wire = body(
      'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2',
      '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7',
      '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992',
      'x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n',
    );
    const options = { decodedLength: 66560, expectedTrailers: ['x-amz-checksum-crc32c'] };
    expect(decode(payload, wire, options)).toEqual({ content: a(66560), trailers: [CRC] });
  });
});
