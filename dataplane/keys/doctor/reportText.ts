/** The report as text that can be sent to the KMS team as it is: causes and requests first, evidence after them. */
import type { Finding } from './findings.ts';
import type {
  CertificateReport,
  ConnectionReport,
  EndpointReport,
  KmipReport,
  StepReport,
} from './report.ts';

const WIDTH = 100;

export function kmipReportText(report: KmipReport): string {
  const foot = `Made ${report.madeAt} by Sealgate ${report.version}. This report holds no key, no password and no private key.`;
  return `${[...report.connections.map(connectionText), wrapped(foot, '')].join('\n\n')}\n`;
}

function connectionText(connection: ConnectionReport): string {
  const { name, healthy, findings, identity, endpoints, throwAwayKey } = connection;
  const count = (severity: Finding['severity'], word: string): string => {
    const found = findings.filter((finding) => finding.severity === severity).length;
    return `${found} ${word}${found === 1 ? '' : 's'}`;
  };
  const verdict = healthy ? 'HEALTHY' : 'NOT HEALTHY';
  const blocks = [
    `Connection ${name}: ${verdict}, ${count('Problem', 'problem')}, ${count('Warning', 'warning')}`,
    ...findings.map(findingText),
    [
      'Who we are',
      field('client certificate', certificateText(identity.clientCertificate)),
      ...(identity.username === null ? [] : [field('user name', identity.username)]),
      ...identity.authorities.map((authority) => field('trusted authority', certificateText(authority))),
    ].join('\n'),
    ...endpoints.map(endpointText),
    ...(throwAwayKey === null ? [] : [keyText(throwAwayKey)]),
    ...(connection.steps.length === 0 ? [] : [stepsText(connection)]),
  ];
  return blocks.join('\n\n');
}

function findingText({ severity, code, what, askKmsTeam, doHere }: Finding): string {
  return [
    wrapped(`${severity.toUpperCase()} ${code}: ${what}`, '  ', ''),
    ...(askKmsTeam === null ? [] : [wrapped(`Ask the KMS team: ${askKmsTeam}`, '    ', '  ')]),
    ...(doHere === null ? [] : [wrapped(`Do here: ${doHere}`, '    ', '  ')]),
  ].join('\n');
}

function certificateText(certificate: CertificateReport): string {
  const { subject, issuer, notBefore, notAfter, serialNumber, fingerprint256 } = certificate;
  return `${subject}, issued by ${issuer}, valid ${notBefore} to ${notAfter}, serial ${serialNumber}, SHA-256 ${fingerprint256}`;
}

function endpointText({ host, port, serverName, tier, tls, kmip }: EndpointReport): string {
  const ms = (value: number | null): string => (value === null ? 'never' : `${value} ms`);
  const reached =
    tls.reached === 'Tls'
      ? `${tls.protocol} with ${tls.cipher}; port open after ${ms(tls.connectMs)}, handshake ${ms(tls.handshakeMs)}`
      : tls.reached === 'Port'
        ? `no: the port is open (after ${ms(tls.connectMs)}), the handshake failed`
        : 'no: the port was not reached';
  return [
    `Endpoint ${host}:${port}${serverName === null ? '' : `, named ${serverName}`}${tier === 0 ? '' : `, tier ${tier}`}`,
    field('TLS', `${reached}${tls.error === null ? '' : ` (${tls.error})`}`),
    ...tls.chain.map((certificate, i) =>
      field(i === 0 ? 'its certificate' : 'issued by', certificateText(certificate)),
    ),
    ...(kmip === null ? [field('KMIP', 'no conversation')] : kmipLines(kmip)),
  ].join('\n');
}

function kmipLines(kmip: NonNullable<EndpointReport['kmip']>): string[] {
  const { versions, agreed, vendor, notListed, clockAheadMs } = kmip;
  return [
    field(
      'KMIP versions',
      `${versions === null ? 'does not know Discover Versions' : versions.join(', ')}; agreed: ${agreed ?? 'none'}`,
    ),
    field('vendor', vendor ?? 'not told'),
    field(
      'operations',
      notListed === null
        ? 'not told'
        : notListed.length === 0
          ? 'lists all that are needed'
          : `does not list ${notListed.join(', ')}`,
    ),
    field(
      'clock',
      clockAheadMs === null
        ? 'not told'
        : Math.abs(clockAheadMs) < 1500
          ? 'the same as ours'
          : `${(Math.abs(clockAheadMs) / 1000).toFixed(0)} s ${clockAheadMs > 0 ? 'ahead of' : 'behind'} ours`,
    ),
  ];
}

const REMOVALS = {
  NotCreated: 'was not created',
  Destroyed: 'was destroyed again',
  Left: 'IS STILL THERE',
  Unknown: 'MAY STILL BE THERE',
} as const;

function keyText(key: NonNullable<ConnectionReport['throwAwayKey']>): string {
  const { name, kmsId, endpoint, removal, readableWhenDeactivated, replication } = key;
  return [
    `Throw-away key ${name}${kmsId === null ? '' : ` (${kmsId})`} at ${endpoint}: ${REMOVALS[removal]}`,
    ...(readableWhenDeactivated === null
      ? []
      : [field('when deactivated', readableWhenDeactivated ? 'still given out' : 'not given out')]),
    ...replication.map(({ endpoint: other, lagMs, sameKey }) =>
      field(
        `at ${other}`,
        lagMs === null
          ? 'never arrived'
          : `${sameKey === true ? 'the same key' : 'ANOTHER KEY'} at most ${lagMs} ms after Activate`,
      ),
    ),
  ].join('\n');
}

/** Repeated answers of one kind in one line, failures each in their own. */
function stepsText({ steps, latencies }: ConnectionReport): string {
  const told = new Set<string>();
  const lines = steps.flatMap((step): string[] => {
    if (step.result === 'Failed') return [failedLine(step)];
    const key = `${step.endpoint} ${step.step}`;
    if (told.has(key)) return [];
    told.add(key);
    const latency = latencies.find(({ step: name, endpoint }) => `${endpoint} ${name}` === key);
    const spread =
      latency === undefined || latency.count === 1
        ? `${step.latencyMs} ms`
        : `${latency.medianMs} ms (median of ${latency.count}, at most ${latency.maxMs} ms)`;
    return [`  ok      ${step.step.padEnd(17)} ${step.endpoint}  ${spread}`];
  });
  return ['What was asked, in this order', ...lines].join('\n');
}

function failedLine({ step, endpoint, detail }: StepReport): string {
  return wrapped(`  FAILED  ${step.padEnd(17)} ${endpoint}  ${detail ?? ''}`, '          ', '');
}

const field = (name: string, value: string): string => wrapped(`  ${name}: ${value}`, '      ', '');

/** Broken at blanks to lines of at most WIDTH characters (a longer word stays whole). */
function wrapped(text: string, indent: string, first = indent): string {
  const lines: string[] = [];
  let line = first;
  for (const word of text.split(/(?<=\S) (?=\S)/)) {
    const fits = line.length + word.length < WIDTH;
    if (line.trim() !== '' && !fits) {
      lines.push(line);
      line = indent;
    }
    line += line.trim() === '' ? word : ` ${word}`;
  }
  return [...lines, line].join('\n');
}
