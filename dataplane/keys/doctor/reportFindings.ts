/** What the facts of a whole examination mean beyond single refusals: states, clocks, clusters, speed. Pure. */
import { STATE } from '../kmip/tags.ts';
import type { ConnectionFacts, EndpointFacts } from './facts.ts';
import type { Finding } from './findings.ts';
import { stateName, verdictOn } from './keyState.ts';
import { REPLICATION_LIMIT_MS } from './replication.ts';
import type { KeyTrial } from './throwAwayKey.ts';
import { span, utc } from './words.ts';

/** An unfinished Create is adopted only if the KMS dates it no more than 15 minutes before our reservation. */
const CLOCK_PROBLEM_MS = 15 * 60_000;
const CLOCK_WARNING_MS = 60_000;
/** Time stamps are in whole seconds, and answers take their time. */
const CLOCK_STEP_MS = 5000;
const LAG_WARNING_MS = 2000;
const SLOW_MS = 1000;

type Words = Pick<Finding, 'code' | 'what' | 'askKmsTeam' | 'doHere'>;

const problem = (words: Words, ...endpoints: string[]): Finding => ({
  ...words,
  severity: 'Problem',
  endpoints,
});
const warning = (words: Words, ...endpoints: string[]): Finding => ({
  ...words,
  severity: 'Warning',
  endpoints,
});

/** Findings about one endpoint that answered KMIP. */
export function endpointFindings(facts: EndpointFacts, nowMs: number): Finding[] {
  const { address, introduction, clockAheadMs } = facts;
  const found: Finding[] = [];
  if (introduction !== null && introduction.agreed === null) {
    found.push(
      problem(
        {
          code: 'NoCommonVersion',
          what: `${address} speaks KMIP ${(introduction.versions ?? []).join(', ') || 'of no version that it tells'}, and Sealgate speaks none of these with the present setting of protocol.`,
          askKmsTeam: 'Can the KMIP interface speak one of the versions 1.0 to 1.4?',
          doHere: 'Widen protocol.min and protocol.max if they exclude what the KMS speaks.',
        },
        address,
      ),
    );
  }
  const notListed = introduction?.notListed ?? [];
  if (notListed.length > 0) {
    found.push(
      warning(
        {
          code: 'OperationsNotListed',
          what: `${address} does not list ${notListed.join(', ')} among its operations. The steps below show whether it does them all the same.`,
          askKmsTeam: 'Are these operations enabled on the KMIP interface?',
          doHere: null,
        },
        address,
      ),
    );
  }
  if (clockAheadMs !== null && Math.abs(clockAheadMs) >= CLOCK_WARNING_MS) {
    const words: Words = {
      code: 'ClockOff',
      what: `The clock of ${address} is ${span(Math.round(clockAheadMs / CLOCK_STEP_MS) * CLOCK_STEP_MS)} ${clockAheadMs > 0 ? 'ahead of' : 'behind'} the clock of this machine, which says ${utc(nowMs)}. Certificates then count as expired or not yet valid too early, and a bucket creation that was interrupted may not be taken up again.`,
      askKmsTeam: 'Is the clock of the KMS right, and does it follow a time server?',
      doHere: 'Compare the clock of this machine with a time server too.',
    };
    found.push(
      Math.abs(clockAheadMs) >= CLOCK_PROBLEM_MS ? problem(words, address) : warning(words, address),
    );
  }
  if (facts.endedBetween > 0) {
    found.push(
      warning(
        {
          code: 'ConnectionNotKept',
          what: `${address} ended the connection ${facts.endedBetween} times between requests. Every request then pays for a new TLS handshake.`,
          askKmsTeam: 'Can the KMIP interface keep connections open for a minute of silence?',
          doHere: null,
        },
        address,
      ),
    );
  }
  return found;
}

/** Findings about the throw-away key's life. `address`: of the endpoint where it was made. */
export function trialFindings(trial: KeyTrial, address: string): Finding[] {
  return [...stateFindings(trial, address), ...clusterFindings(trial), ...removalFindings(trial)];
}

function stateFindings(trial: KeyTrial, address: string): Finding[] {
  const found: Finding[] = [];
  const { objectGroupRefused, createdState, activeState, located, name } = trial;
  if (objectGroupRefused) {
    found.push(
      problem(
        {
          code: 'ObjectGroupRefused',
          what: 'The KMS refuses to create a key with the attribute Object Group, and creates one without it.',
          askKmsTeam: null,
          doHere: 'Set objectGroup of this connection to false.',
        },
        address,
      ),
    );
  }
  const wrong = [
    [createdState, STATE.preActive, 'Create'],
    [activeState, STATE.active, 'Activate'],
  ] as const;
  for (const [state, expected, after] of wrong) {
    // A KMS that activates keys by itself does no harm.
    if (state === null || state === expected || state === STATE.active) continue;
    found.push(
      problem(
        {
          code: 'WrongState',
          what: `After ${after} the key is ${stateName(state)} instead of ${stateName(expected)}.`,
          askKmsTeam:
            'Does a policy of the KMS change the state of new keys, or does activating them need an approval?',
          doHere: null,
        },
        address,
      ),
    );
  }
  if (trial.wrongAttributes.length > 0) {
    found.push(
      problem(
        {
          code: 'AttributesWrong',
          what: `Of the key that it has just made the KMS does not tell, or tells otherwise than asked for: ${trial.wrongAttributes.join(', ')}. By these an interrupted bucket creation recognises its key.`,
          askKmsTeam:
            'May this user read these attributes, and does a policy or template change what Create asks for (AES, 256 bits, usage Encrypt and Decrypt)?',
          doHere: null,
        },
        address,
      ),
    );
  }
  if (located !== null && located !== 1) {
    found.push(
      problem(
        {
          code: 'LocateWrong',
          what: `Asked for the one key named ${name}, Locate found ${located === 0 ? 'none' : 'several'}. A bucket creation that was interrupted could not be taken up again.`,
          askKmsTeam: 'Is Locate by the attribute Name supported, and may this user find its own keys?',
          doHere: null,
        },
        address,
      ),
    );
  }
  if (trial.readableWhenDeactivated === false) {
    found.push(
      warning(
        {
          code: 'DeactivatedKeyNotReadable',
          what: 'The KMS does not give out a key once it is Deactivated. Sealgate itself only deactivates keys that nothing uses any more; but if somebody else deactivates the key of a bucket, its objects cannot be read.',
          askKmsTeam:
            'Can Get of deactivated keys be allowed? If not: never deactivate a key that a bucket still uses, by hand or by a date.',
          doHere: null,
        },
        address,
      ),
    );
  }
  return found;
}

function clusterFindings({ replication }: KeyTrial): Finding[] {
  return replication.flatMap(({ endpoint, lagMs, sameKey, failure }): Finding[] => {
    if (sameKey === false) {
      return [
        problem(
          {
            code: 'KeyDiffers',
            what: `${endpoint} gives other bytes for the same key identifier: it is not a replica of the first endpoint.`,
            askKmsTeam: 'Which addresses belong to one cluster?',
            doHere: 'List only endpoints of one cluster in a connection.',
          },
          endpoint,
        ),
      ];
    }
    if (lagMs === null) {
      if (failure !== null && (failure.kind !== 'Result' || verdictOn(failure).retryable)) {
        return [
          problem(
            {
              code: 'NotReplicated',
              what: `${endpoint} could not be asked for the new key: ${failure.words}.`,
              askKmsTeam: 'Is this member of the cluster in order?',
              doHere: null,
            },
            endpoint,
          ),
        ];
      }
      return [
        problem(
          {
            code: 'NotReplicated',
            what: `${endpoint} did not have the new key within ${REPLICATION_LIMIT_MS / 1000} s${failure === null ? '' : ` (${failure.words})`}.`,
            askKmsTeam:
              'Do the endpoints of this connection replicate to each other, and how long may that take?',
            doHere: 'List only endpoints of one cluster in a connection.',
          },
          endpoint,
        ),
      ];
    }
    if (lagMs < LAG_WARNING_MS) return [];
    return [
      warning(
        {
          code: 'ReplicationSlow',
          what: `${endpoint} had the new key only after ${(lagMs / 1000).toFixed(1)} s. A new bucket is ready when every endpoint that answers has its key.`,
          askKmsTeam: 'Is this the delay that the cluster is meant to have?',
          doHere: null,
        },
        endpoint,
      ),
    ];
  });
}

function removalFindings({ removal, name, kmsId }: KeyTrial): Finding[] {
  const found: Finding[] = [];
  if (removal === 'Left' || removal === 'Unknown') {
    const what = kmsId === null ? `named ${name}` : `${kmsId} (named ${name})`;
    found.push(
      problem({
        code: 'ThrowAwayKeyLeft',
        what:
          removal === 'Left'
            ? `The throw-away key ${what} is still in the KMS: it could not be destroyed.`
            : `Whether the throw-away key ${what} is in the KMS is not known: no answer came.`,
        askKmsTeam: `Destroy the key ${what}, if it is there. It protects nothing.`,
        doHere: null,
      }),
    );
  }
  return found;
}

/** Requests that took too long, told once for the connection. */
export function speedFindings({ latencies }: Pick<ConnectionFacts, 'latencies'>): Finding[] {
  const slow = latencies.filter(({ medianMs }) => medianMs > SLOW_MS);
  if (slow.length === 0) return [];
  const list = slow.map(({ step, medianMs }) => `${step} ${(medianMs / 1000).toFixed(1)} s`).join(', ');
  return [
    warning(
      {
        code: 'SlowAnswers',
        what: `The KMS answers slowly: ${list}. A request whose key is not in memory waits for it.`,
        askKmsTeam:
          'Is the KMS under load, or far away? Locate may be slow when it holds many keys; it is used only after a crash.',
        doHere: null,
      },
      ...new Set(slow.map(({ endpoint }) => endpoint)),
    ),
  ];
}
