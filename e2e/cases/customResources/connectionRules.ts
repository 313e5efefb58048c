import { type RuleCase, WHOLE_OBJECT } from './rules.ts';
import type { Json } from './samples.ts';

const spec = (fields: Json): Json => ({ spec: fields });
const kmip = (fields: Json): Json => spec({ kmip: fields });
const endpoint = (fields: Json): Json => kmip({ endpoints: [{ host: 'ks1.example.com', ...fields }] });
const allowed = (fields: Json): Json => spec({ allowedNamespaces: fields });

const HOST = 'must be a DNS name in lower case or an IP address, without scheme, port or brackets';
const NAME =
  'must be the name of an object: lower-case letters, digits, hyphens and dots, with a letter or digit at both ends';

function durationRule(
  field: string,
  [least, most]: readonly [string, string],
  [tooShort, tooLong]: readonly [readonly string[], readonly string[]],
  set: (text: string) => Json,
): RuleCase {
  return {
    field,
    says: `must be a duration between ${least} and ${most}, written like 500ms, 5m or 1h30m`,
    passes: [set(least), set(most)],
    refuses: [...tooShort, ...tooLong, '5', '1d', '', '-1s'].map((text) => set(text)),
  };
}

const total = (text: string): Json => kmip({ timeouts: { connect: '100ms', request: '100ms', total: text } });
const TOTAL = durationRule('spec.kmip.timeouts.total', ['100ms', '2m'], [[], ['121s', '2m1ms']], total);

export const CONNECTION_RULES: readonly RuleCase[] = [
  {
    field: WHOLE_OBJECT,
    says: 'metadata.name must have at most 63 characters',
    passes: [{ metadata: { name: 'a'.repeat(63) } }],
    refuses: [{ metadata: { name: 'a'.repeat(64) } }],
  },
  {
    field: WHOLE_OBJECT,
    says: 'metadata.name must not end in .credentials',
    passes: [
      { metadata: { name: 'credentials' } },
      { metadata: { name: 'x.credentials.two' } },
      { metadata: { name: 'x-credentials' } },
    ],
    refuses: [{ metadata: { name: 'x.credentials' } }],
  },
  {
    field: 'spec.kmip.protocol',
    says: 'protocol.min must not be above protocol.max; what is not given comes from the profile',
    passes: [kmip({ protocol: { min: '1.3', max: '1.3' } }), kmip({ protocol: null })],
    refuses: [kmip({ protocol: { min: '1.3', max: '1.2' } }), kmip({ protocol: { min: '1.4', max: null } })],
  },
  {
    field: 'spec.kmip.endpoints',
    says: 'at least one endpoint must have tier 0',
    passes: [endpoint({ tier: 0 }), endpoint({})],
    refuses: [endpoint({ tier: 1 })],
  },
  {
    field: 'spec.kmip.timeouts',
    says: 'timeouts.connect and timeouts.request must not exceed timeouts.total',
    passes: [kmip({ timeouts: { connect: '1s', request: '1000ms', total: '1s' } })],
    refuses: [
      kmip({ timeouts: { connect: '1s1ms', request: '1s', total: '1s' } }),
      kmip({ timeouts: { connect: '1s', request: '2s', total: '1s' } }),
    ],
  },
  {
    field: 'spec.kmip.endpoints[0].host',
    says: HOST,
    passes: [endpoint({ host: '192.0.2.1' }), endpoint({ host: '2001:db8::1' }), endpoint({ host: 'ks' })],
    refuses: ['https://ks1', 'ks1:5696', '[2001:db8::1]', 'ks_1', 'KS1', 'ks1.'].map((host) =>
      endpoint({ host }),
    ),
  },
  {
    field: 'spec.kmip.endpoints[0].serverName',
    says: HOST,
    passes: [endpoint({ serverName: '192.0.2.1' }), endpoint({ serverName: null })],
    refuses: [endpoint({ serverName: 'ks1.example.com:5696' }), endpoint({ serverName: '*.example.com' })],
  },
  {
    field: 'spec.kmip.tls.secretRef.name',
    says: NAME,
    passes: [kmip({ tls: { secretRef: { name: 'a.b' } } })],
    refuses: [
      kmip({ tls: { secretRef: { name: 'kms/client' } } }),
      kmip({ tls: { secretRef: { name: 'a..b' } } }),
    ],
  },
  {
    field: 'spec.kmip.tls.caBundleRef.name',
    says: NAME,
    passes: [kmip({ tls: { caBundleRef: null } })],
    refuses: [kmip({ tls: { caBundleRef: { name: 'Kms' } } })],
  },
  {
    field: 'spec.kmip.tls.caBundleRef.key',
    says: 'must be the key of an entry: letters, digits, ".", "_" and "-"',
    passes: [kmip({ tls: { caBundleRef: { key: 'A.b_c-1' } } })],
    refuses: [kmip({ tls: { caBundleRef: { key: 'certs/ca.crt' } } })],
  },
  {
    field: 'spec.kmip.credentialsSecretRef.name',
    says: NAME,
    passes: [kmip({ credentialsSecretRef: null })],
    refuses: [kmip({ credentialsSecretRef: { name: 'key secure' } })],
  },
  {
    field: 'spec.kmip.keyNamePrefix',
    says: 'must have only letters, digits, ".", "_" and "-", with a letter or digit at the beginning',
    passes: [kmip({ keyNamePrefix: 'A' }), kmip({ keyNamePrefix: '0._-' })],
    refuses: [
      kmip({ keyNamePrefix: '-a' }),
      kmip({ keyNamePrefix: 'team a' }),
      kmip({ keyNamePrefix: 'a/b' }),
    ],
  },
  {
    field: 'spec.kmip.keyNamePrefix',
    says: 'cannot be changed',
    before: { metadata: { name: 'prefixed' } },
    passes: [kmip({ objectGroup: true })],
    // Without it the default comes, which is another one.
    refuses: [kmip({ keyNamePrefix: 'other' }), kmip({ keyNamePrefix: null })],
  },
  durationRule('spec.kmip.timeouts.connect', ['100ms', '1m'], [['99ms', '0s'], ['60001ms']], (connect) =>
    kmip({ timeouts: { connect } }),
  ),
  durationRule('spec.kmip.timeouts.request', ['100ms', '1m'], [['99ms', '0s'], ['60001ms']], (request) =>
    kmip({ timeouts: { request } }),
  ),
  TOTAL,
  // The other two are at least 100ms, and so exceed it as well.
  { ...TOTAL, beside: ['spec.kmip.timeouts'], passes: [], refuses: [total('99ms'), total('0s')] },
  durationRule('spec.cache.ttl', ['0s', '24h'], [[], ['24h1ms', '25h']], (ttl) => spec({ cache: { ttl } })),
  durationRule('spec.cache.staleLimit', ['0s', '168h'], [[], ['168h1ms', '8h169h']], (staleLimit) =>
    spec({ cache: { staleLimit } }),
  ),
  {
    field: 'spec.allowedNamespaces',
    says: 'selector is required when from is Selector, and must be absent otherwise',
    passes: [allowed({ from: 'All', selector: null }), spec({ allowedNamespaces: null })],
    refuses: [allowed({ selector: null }), allowed({ from: 'Same' }), allowed({ from: 'All' })],
  },
  {
    field: 'spec.allowedNamespaces.selector',
    says: 'must have matchLabels or matchExpressions; from: All permits every namespace',
    passes: [allowed({ selector: { matchLabels: null } }), allowed({ selector: { matchExpressions: null } })],
    refuses: [
      allowed({ selector: { matchLabels: null, matchExpressions: null } }),
      spec({ allowedNamespaces: { selector: { matchLabels: null, matchExpressions: [] } } }),
    ],
  },
  {
    field: 'spec.allowedNamespaces.selector.matchExpressions[0]',
    says: 'In and NotIn need values, Exists and DoesNotExist must have none',
    passes: [
      allowed({ selector: { matchExpressions: [{ key: 'a', operator: 'Exists' }] } }),
      allowed({ selector: { matchExpressions: [{ key: 'a', operator: 'NotIn', values: [''] }] } }),
    ],
    refuses: [
      allowed({ selector: { matchExpressions: [{ key: 'a', operator: 'In' }] } }),
      allowed({ selector: { matchExpressions: [{ key: 'a', operator: 'NotIn', values: [] }] } }),
      allowed({ selector: { matchExpressions: [{ key: 'a', operator: 'DoesNotExist', values: ['x'] }] } }),
    ],
  },
];
