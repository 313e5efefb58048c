/** What a failed request means, in the KMS team's words: which right, which setting, which user. Pure. */

import type { KmsEndpoint } from '../settings.ts';
import type { CertificateFacts } from './certificates.ts';
import type { Finding, FindingCode } from './findings.ts';
import { isCertificateAlert, refused } from './handshakeFindings.ts';
import { verdictOn } from './keyState.ts';
import type { Failure, Step, StepName } from './session.ts';

export interface StepContext {
  readonly endpoints: readonly KmsEndpoint[];
  readonly client: CertificateFacts;
  /** The name of the optional KMIP Credential. */
  readonly username: string | null;
  /** Whether a key that the user may not Get did Encrypt; null when it was not tried. */
  readonly encryptWorks: boolean | null;
  /** Whether Get works where State and Get in one message do not. */
  readonly getAloneWorks: boolean | null;
  /** Whether Create failed only for its Object Group; that is told by a finding of its own. */
  readonly objectGroupRefused: boolean;
  readonly limits: { readonly connectMs: number; readonly requestMs: number };
  readonly nowMs: number;
}

/** What each step needs of the user's rights, and what the gateway needs it for. */
const PURPOSES: Readonly<Record<StepName, { readonly right: string; readonly why: string }>> = {
  DiscoverVersions: { right: 'ask which versions the KMS speaks', why: 'every connection starts with it' },
  Query: { right: 'ask what the KMS can do', why: 'it is the probe while the KMS is away' },
  Create: { right: 'create symmetric keys', why: 'every encrypted bucket gets a key of its own' },
  GetAttributes: {
    right: 'read the attributes of its keys',
    why: 'the State of a key is obeyed at each use',
  },
  Locate: { right: 'find its keys by name', why: 'an interrupted bucket creation is taken up again by it' },
  Activate: { right: 'activate its keys', why: 'only an Active key protects new objects' },
  Get: {
    right: 'get (export) its keys',
    why: 'objects are encrypted in the gateway, with the key from the KMS',
  },
  Encrypt: { right: 'encrypt with its keys', why: 'it was tried only because Get was refused' },
  Revoke: {
    right: 'revoke (deactivate) its keys',
    why: 'keys that nothing uses any more are taken out of service',
  },
  GetDeactivated: { right: 'get its deactivated keys', why: 'objects of a deactivated key stay readable' },
  Destroy: {
    right: 'destroy its keys',
    why: 'keys that nobody needs, like this throw-away key, are removed by it',
  },
  GetDestroyed: { right: 'read the attributes of its keys', why: 'it shows that a key is gone' },
};

/** Findings about the failed steps. A refused Encrypt only explains a refused Get. */
export function stepFindings(steps: readonly Step[], context: StepContext): Finding[] {
  const attributesRefused = steps.some(({ step, failure }) => step === 'GetAttributes' && failure !== null);
  return steps.flatMap((step) => {
    const { failure, endpoint } = step;
    if (failure === null || step.step === 'Encrypt' || step.step === 'GetDeactivated') return [];
    // The message holds Get Attributes too, whose refusal is told already.
    if (step.step === 'Get' && context.getAloneWorks === true && attributesRefused) return [];
    if (step.step === 'Create' && context.objectGroupRefused) return [];
    if (step.step === 'DiscoverVersions' && verdictOn(failure).renegotiate && failure.kind === 'Result')
      return [];
    const found = explain(step.step, failure, endpoint, context);
    const severity = step.step === 'Query' && failure.kind === 'Result' ? 'Warning' : 'Problem';
    return [{ severity, doHere: null, ...found, endpoints: [endpoint] }];
  });
}

type Explained = Pick<Finding, 'code' | 'what' | 'askKmsTeam'> & { readonly doHere?: string | null };

function explain(step: StepName, failure: Failure, endpoint: string, context: StepContext): Explained {
  return failure.kind === 'Result'
    ? explainRefusal(step, failure, context)
    : explainSilence(step, failure, endpoint, context);
}

/** The KMS answered, and the answer is no. */
function explainRefusal(step: StepName, failure: Failure, context: StepContext): Explained {
  const { right, why } = PURPOSES[step];
  const user = userOf(context);
  const say = (
    code: FindingCode,
    what: string,
    askKmsTeam: string,
    doHere: string | null = null,
  ): Explained => ({
    code,
    // The words start with "the KMS answered".
    what: `${what} ${capital(failure.words)}.`,
    askKmsTeam,
    doHere,
  });
  const beforeAnyKey = step === 'DiscoverVersions' || step === 'Query';
  const verdict = verdictOn(failure);
  if (failure.reason === AUTHENTICATION_NOT_SUCCESSFUL || (beforeAnyKey && verdict.code === 'AccessDenied')) {
    return say(
      'UserNotAccepted',
      `The KMS does not accept ${user}, although the TLS handshake succeeded.`,
      `Does that user exist and is it enabled; is the certificate (serial ${context.client.serialNumber}) assigned to it, with the user name in the field that the KMIP interface reads; does the interface also demand a password?`,
      context.username === null
        ? 'If the KMS demands a password too, put it into credentialsFile.'
        : 'Check user name and password in credentialsFile: they must be those of the user that the certificate names.',
    );
  }
  if (step === 'Get' && context.getAloneWorks === true) {
    return say(
      'BatchRefused',
      'The KMS refuses a message that asks for the State of a key and for the key at once, and answers Get alone.',
      'that a message may hold more than one batch item.',
      'Or set profile of this connection to one that asks in two messages, such as CipherTrustManager.',
    );
  }
  if (verdict.code === 'AccessDenied' && step === 'Get' && context.encryptWorks === true) {
    return say(
      'OnlyEncryptAllowed',
      `${capital(user)} may use keys inside the KMS (Encrypt works) but may not get them (Get is denied). Sealgate encrypts by itself with keys that it fetches, so it needs Get; Encrypt alone is not enough.`,
      `for the right to get (export) symmetric keys that this user owns. Encrypt and Decrypt are not needed.`,
    );
  }
  if (verdict.code === 'AccessDenied') {
    return say(
      'RightMissing',
      `${capital(user)} may not ${right}; ${why}.`,
      `for the right to ${right} (KMIP ${wireName(step)}).`,
    );
  }
  if (step === 'Get' && NOT_EXPORTABLE.has(failure.reason ?? -1)) {
    return say(
      'KeyNotExportable',
      'The KMS makes keys for this user that may not leave it, and Sealgate needs their bytes.',
      'that new keys of this user are exportable: neither Sensitive nor marked as not Extractable, also by a policy or template of the KMS.',
    );
  }
  if (failure.reason === OPERATION_NOT_SUPPORTED) {
    return say(
      'OperationNotSupported',
      `The KMS does not support KMIP ${wireName(step)}, without which Sealgate cannot ${right}; ${why}.`,
      `that the operation ${wireName(step)} is enabled on the KMIP interface.`,
    );
  }
  if (verdict.code === 'NotFound') {
    return say(
      'KeyNotFound',
      `The KMS does not find the key that it made a moment ago, when asked to ${right}.`,
      'Does one address stand for several servers that replicate with delay? Then each of them has to be an endpoint of its own.',
    );
  }
  if (verdict.retryable) {
    return say(
      'KmsFailed',
      `The KMS failed inside when asked to ${right}.`,
      'What do its logs say about this request?',
    );
  }
  return say(
    'RequestRefused',
    `The KMS refuses to ${right}; ${why}.`,
    `Why does the KMS refuse ${wireName(step)} with "${failure.reasonName ?? 'no reason'}"?`,
  );
}

/** No answer, or none that can be read. */
function explainSilence(step: StepName, failure: Failure, endpoint: string, context: StepContext): Explained {
  const address = context.endpoints.find(({ host, port }) => `${host}:${port}` === endpoint);
  if (
    failure.kind === 'Connection' &&
    isCertificateAlert(failure.reasonName ?? '') &&
    address !== undefined
  ) {
    return refused(failure.reasonName ?? '', {
      endpoint: address,
      client: context.client,
      nowMs: context.nowMs,
      connectLimitMs: context.limits.connectMs,
    });
  }
  if (failure.kind === 'Connection') {
    return {
      code: 'ConnectionEnded',
      what: `${endpoint} completed the TLS handshake and ended the connection at ${wireName(step)}: ${failure.words}. Many servers do so when they do not know the user ${userOf(context)}.`,
      askKmsTeam: 'What does the log of the KMS say about our connection?',
    };
  }
  if (failure.kind === 'Timeout') {
    return {
      code: 'NoAnswer',
      what: `${endpoint} did not answer ${wireName(step)} within ${context.limits.requestMs} ms.`,
      askKmsTeam: 'Is the KMS overloaded, or does a device between us hold back its answers?',
      doHere: 'If it is only slow, raise timeouts.request.',
    };
  }
  return {
    code: 'AnswerNotUnderstood',
    what: `The answer of ${endpoint} to ${wireName(step)} cannot be used: ${failure.words}.`,
    askKmsTeam:
      'Product and version of the KMS, and whether its KMIP interface speaks the binary TTLV encoding.',
  };
}

const AUTHENTICATION_NOT_SUCCESSFUL = 0x03;
const OPERATION_NOT_SUPPORTED = 0x05;
/** Key Format Type Not Supported, Key Value Not Present, Sensitive, Not Extractable. */
const NOT_EXPORTABLE: ReadonlySet<number> = new Set([0x10, 0x13, 0x16, 0x17]);

/** The user as the KMS team knows it. */
function userOf({ client, username }: Pick<StepContext, 'client' | 'username'>): string {
  return username === null
    ? `the user of certificate ${client.subject}`
    : `the user ${username} of certificate ${client.subject}`;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** The operation's name as the specification writes it. */
function wireName(step: StepName): string {
  const operation = step === 'GetDeactivated' ? 'Get' : step === 'GetDestroyed' ? 'GetAttributes' : step;
  return operation.replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter}`);
}
