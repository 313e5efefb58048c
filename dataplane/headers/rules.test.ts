import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  announcedTrailers,
  type CarriedHeader,
  type Carrier,
  collectEncryptionHeaders,
  decide,
  isEncryptionHeader,
  REFUSAL_MESSAGE,
  type RuleSubject,
  withTrailers,
} from './rules.ts';
import { quoted, readRulesPage } from './rulesPage.testkit.ts';

const CARRIERS: readonly Carrier[] = ['header', 'query', 'form', 'trailer'];
const SSE = 'x-amz-server-side-encryption';
const SCAL_SSE = 'x-amz-scal-server-side-encryption';
const CUSTOMER_KEY = 'x-amz-server-side-encryption-customer-key';

const page = readRulesPage();
const { headings: HEADINGS, rows: ROWS } = page;
const namesOf = (group: 'S' | 'K' | 'C'): readonly string[] => page.names(group);

function carry(name: string, value: string | null, carrier: Carrier = 'header'): CarriedHeader {
  return { name, value, carrier };
}

interface PageCase {
  readonly row: number;
  readonly operation: string;
  readonly subject: RuleSubject;
  readonly encrypted: boolean;
}

// biome-ignore format: a table
const CASES: readonly PageCase[] = [
  { row: 0, operation: 'CreateBucket',                subject: { operation: 'CreateBucket' },                    encrypted: false },
  { row: 1, operation: 'PutObject, POST object',      subject: { operation: 'Write', encrypted: true },          encrypted: true },
  { row: 2, operation: 'the same',                    subject: { operation: 'Write', encrypted: false },         encrypted: false },
  { row: 3, operation: 'CompleteMultipartUpload',     subject: { operation: 'FinishUpload', encrypted: true },   encrypted: true },
  { row: 3, operation: 'CompleteMultipartUpload',     subject: { operation: 'FinishUpload', encrypted: false },  encrypted: false },
  { row: 4, operation: 'GetObject, HeadObject',       subject: { operation: 'Read', encrypted: true },           encrypted: true },
  { row: 4, operation: 'GetObject, HeadObject',       subject: { operation: 'Read', encrypted: false },          encrypted: false },
  { row: 5, operation: 'every other S3 operation',    subject: { operation: 'Other', encrypted: true },          encrypted: true },
  { row: 5, operation: 'every other S3 operation',    subject: { operation: 'Other', encrypted: false },         encrypted: false },
];

/** Headers that belong to a column of the page: each name, alone, and for "anything else" each value that it lists. */
function headersOfColumn(column: number): CarriedHeader[][] {
  if (column === 1) return [[]];
  if (column === 4) return [...namesOf('K'), ...namesOf('C')].map((name) => [carry(name, 'AES256')]);
  const listed = quoted(HEADINGS[column] ?? '');
  if (column === 2) return namesOf('S').flatMap((name) => listed.map((value) => [carry(name, value)]));
  const values = [...listed, ''];
  return namesOf('S').flatMap((name) => values.map((value) => [carry(name, value)]));
}

describe('the page docs/header-rules.md and the module', () => {
  it('name the same headers', () => {
    expect(namesOf('S')).toEqual([SSE, SCAL_SSE]);
    expect(namesOf('K')).toHaveLength(4);
    expect(namesOf('C')).toHaveLength(6);
    for (const name of [...namesOf('S'), ...namesOf('K'), ...namesOf('C')]) {
      expect(isEncryptionHeader(name), name).toBe(true);
      expect(isEncryptionHeader(name.toUpperCase()), name).toBe(true);
    }
    expect(isEncryptionHeader('x-amz-server-side-encryption-foo')).toBe(false);
    expect(isEncryptionHeader('x-amz-storage-class')).toBe(false);
  });

  it('have the columns and rows that are compared here, and the message', () => {
    expect(ROWS).toHaveLength(7);
    expect(HEADINGS).toHaveLength(5);
    expect(quoted(HEADINGS[2] ?? '')).toEqual(['AES256']);
    expect(quoted(HEADINGS[3] ?? '')).toEqual(['aws:kms', 'aws:kms:dsse', 'aes256', 'DES']);
    for (const { row, operation } of CASES) expect(ROWS[row]?.[0]).toContain(operation);
    expect(ROWS[6]?.[0]).toContain('replication');
    expect(ROWS[6]?.[1]).toContain('501 NotImplemented');
    expect(page.text).toContain(`<Message>${REFUSAL_MESSAGE}</Message>`);
  });

  for (const { row, operation, subject, encrypted } of CASES) {
    for (const column of [1, 2, 3, 4]) {
      it(`agree on ${operation}, ${encrypted ? 'encrypted' : 'plain'}, ${HEADINGS[column]}`, () => {
        const outcome = page.outcome(row, column, encrypted);
        for (const headers of headersOfColumn(column)) {
          for (const carrier of CARRIERS) {
            const carried = headers.map((entry) => ({ ...entry, carrier }));
            const verdict = decide(subject, collectEncryptionHeaders(carried));
            expect(verdict.allowed, JSON.stringify(carried)).toBe(outcome !== 'refused');
            if (!verdict.allowed) expect(verdict.argumentName).toBe(carried[0]?.name);
            else expect(verdict.encrypted).toBe(outcome === 'served' ? encrypted : outcome === 'encrypted');
          }
        }
      });
    }
  }
});

describe('decide', () => {
  const encryptedWrite: RuleSubject = { operation: 'Write', encrypted: true };
  const unknownObject: RuleSubject = { operation: 'Read', encrypted: null };

  it('lets AES256 wait for the look-up of an object and refuses everything else before it', () => {
    expect(decide(unknownObject, { entries: [] })).toEqual({ allowed: true, encrypted: false });
    expect(decide(unknownObject, { entries: [carry(SSE, 'AES256')] })).toEqual({
      allowed: true,
      encrypted: false,
    });
    expect(decide(unknownObject, { entries: [carry(SSE, 'aws:kms')] }).allowed).toBe(false);
    expect(decide(unknownObject, { entries: [carry(CUSTOMER_KEY, 'secret')] }).allowed).toBe(false);
  });

  it('takes both S names with AES256 for one wish', () => {
    const entries = [carry(SSE, 'AES256'), carry(SCAL_SSE, 'AES256', 'query')];
    expect(decide(encryptedWrite, { entries })).toEqual({ allowed: true, encrypted: true });
    expect(decide({ operation: 'CreateBucket' }, { entries })).toEqual({ allowed: true, encrypted: true });
  });

  it.each(CARRIERS)('refuses a name that is repeated in a %s, whatever the values', (carrier) => {
    const entries = [carry(SSE, 'AES256'), carry(SSE, 'AES256', carrier)];
    for (const subject of [...CASES.map((it) => it.subject), unknownObject]) {
      expect(decide(subject, { entries })).toEqual({
        allowed: false,
        argumentName: SSE,
        argumentValue: 'AES256',
      });
    }
  });

  it.each([
    'AES256,AES256',
    'AES256, AES256',
    'AES256 ',
    ' AES256',
    'AES-256',
    '"AES256"',
    'AES256\0',
    'aws:kms',
  ])('refuses the value %j', (value) => {
    const verdict = decide(encryptedWrite, { entries: [carry(SSE, value)] });
    expect(verdict).toEqual({ allowed: false, argumentName: SSE, argumentValue: value });
  });

  it('reports the first offending header in order of arrival', () => {
    const entries = [carry(SSE, 'AES256'), carry(SCAL_SSE, 'DES'), carry(CUSTOMER_KEY, 'secret')];
    expect(decide(encryptedWrite, { entries })).toMatchObject({
      argumentName: SCAL_SSE,
      argumentValue: 'DES',
    });
    const plain: RuleSubject = { operation: 'Write', encrypted: false };
    expect(decide(plain, { entries })).toMatchObject({ argumentName: SSE, argumentValue: 'AES256' });
    expect(decide(plain, { entries: entries.toReversed() })).toMatchObject({ argumentName: CUSTOMER_KEY });
  });

  it('never shows the value of a customer key, and shows a KMS key id', () => {
    for (const name of namesOf('C')) {
      const verdict = decide(encryptedWrite, { entries: [carry(name, 'c2VjcmV0')] });
      expect(verdict).toEqual({ allowed: false, argumentName: name });
      expect(JSON.stringify(verdict)).not.toContain('c2VjcmV0');
    }
    for (const argumentName of namesOf('K')) {
      const verdict = decide(encryptedWrite, { entries: [carry(argumentName, '')] });
      expect(verdict).toEqual({ allowed: false, argumentName, argumentValue: '' });
    }
  });

  it('holds its promise for any headers: allowed means that every one is AES256, once, and the subject encrypted', () => {
    const all = [...namesOf('S'), ...namesOf('S'), ...namesOf('K'), ...namesOf('C')];
    const header = fc.record({
      name: fc.constantFrom(...all),
      value: fc.oneof({ weight: 3, arbitrary: fc.constant('AES256') }, { arbitrary: fc.string(), weight: 1 }),
      carrier: fc.constantFrom(...CARRIERS),
    });
    const subjects = CASES.map((it) => it.subject);
    fc.assert(
      fc.property(fc.constantFrom(...subjects), fc.array(header, { maxLength: 4 }), (subject, entries) => {
        const names = new Set(entries.map((entry) => entry.name));
        const asksForAes256Only =
          names.size === entries.length &&
          entries.every((entry) => namesOf('S').includes(entry.name) && entry.value === 'AES256');
        const mayAsk = subject.operation === 'CreateBucket' || subject.encrypted === true;
        const expected = entries.length === 0 || (asksForAes256Only && mayAsk);
        expect(decide(subject, { entries }).allowed).toBe(expected);
      }),
    );
  });
});

describe('collectEncryptionHeaders', () => {
  it('keeps only encryption headers, in order, in lower case', () => {
    const carried = [
      carry('Host', 's3'),
      carry('X-Amz-Server-Side-Encryption', 'AES256', 'query'),
      carry('x-amz-meta-x-amz-server-side-encryption', 'AES256'),
      carry('X-AMZ-SERVER-SIDE-ENCRYPTION-CONTEXT', '', 'form'),
    ];
    expect(collectEncryptionHeaders(carried).entries).toEqual([
      carry(SSE, 'AES256', 'query'),
      carry('x-amz-server-side-encryption-context', '', 'form'),
    ]);
  });
});

describe('trailers', () => {
  it('are announced by name, each once, from every announcing header', () => {
    const announced = announcedTrailers([
      'x-amz-checksum-crc32,  X-Amz-Server-Side-Encryption',
      SSE,
      CUSTOMER_KEY,
      '',
    ]);
    expect(announced).toEqual([carry(SSE, null, 'trailer'), carry(CUSTOMER_KEY, null, 'trailer')]);
  });

  it.each<[name: string, subject: RuleSubject, allowed: boolean]>([
    [SSE, { operation: 'Write', encrypted: true }, true],
    [SSE, { operation: 'Write', encrypted: false }, false],
    [SSE, { operation: 'CreateBucket' }, true],
    [SSE, { operation: 'Other', encrypted: false }, false],
    [CUSTOMER_KEY, { operation: 'Write', encrypted: true }, false],
  ])('that are announced count before the body: %s for %j', (name, subject, allowed) => {
    const verdict = decide(subject, collectEncryptionHeaders(announcedTrailers([name])));
    expect(verdict).toEqual(allowed ? { allowed, encrypted: true } : { allowed, argumentName: name });
  });

  const write: RuleSubject = { operation: 'Write', encrypted: true };
  const announcement = collectEncryptionHeaders(announcedTrailers([SSE]));

  it.each<[arrived: [string, string][], allowed: boolean]>([
    [[[SSE, 'AES256']], true],
    [
      [
        ['X-Amz-Server-Side-Encryption', 'AES256'],
        ['x-amz-checksum-crc32', 'AAAAAA=='],
      ],
      true,
    ],
    [[[SSE, 'aws:kms']], false],
    [[[SSE, '']], false],
    [
      [
        [SSE, 'AES256'],
        [SSE, 'AES256'],
      ],
      false,
    ],
    [
      [
        [SSE, 'AES256'],
        [CUSTOMER_KEY, 'secret'],
      ],
      false,
    ],
    [[], false],
  ])('that arrive as %j after an announcement', (arrived, allowed) => {
    expect(decide(write, withTrailers(announcement, arrived)).allowed).toBe(allowed);
  });

  it('count without an announcement, and together with what came before the body', () => {
    const none = { entries: [] };
    const header = { entries: [carry(SSE, 'AES256')] };
    expect(decide(write, withTrailers(none, [[SSE, 'aws:kms']])).allowed).toBe(false);
    expect(decide(write, withTrailers(none, [[SSE, 'AES256']])).allowed).toBe(true);
    expect(decide(write, withTrailers(header, [[SSE, 'AES256']])).allowed).toBe(false);
    expect(decide(write, withTrailers(header, [['etag', '1']])).allowed).toBe(true);
    expect(decide(write, withTrailers(header, [[SCAL_SSE, 'AES256']])).allowed).toBe(true);
    expect(
      decide({ operation: 'Write', encrypted: false }, withTrailers(none, [[SSE, 'AES256']])).allowed,
    ).toBe(false);
  });

  it('of a name that a header carries too are refused before the body', () => {
    const carried = [carry(SSE, 'AES256'), ...announcedTrailers([SSE])];
    expect(decide(write, collectEncryptionHeaders(carried)).allowed).toBe(false);
  });
});
