/** An examination of fake servers, with a clock that obeys and a handshake that is in order. */
import { FakeClock, settle } from '../fakeClock.testkit.ts';
import { FakeKms } from '../fakeKms.testkit.ts';
import type { Connect } from '../kmip/connection.ts';
import { testSettings } from '../settings.testkit.ts';
import type { KmsConnectionSettings } from '../settings.ts';
import { type Examination, examine } from './doctor.ts';
import type { Handshake } from './handshake.ts';

/** Inside the life of the test certificate. */
export const NOW_MS = Date.parse('2027-01-01T00:00:00Z');

export const GOOD_HANDSHAKE: Handshake = {
  reached: 'Tls',
  failure: null,
  connectMs: 1,
  handshakeMs: 2,
  protocol: 'TLSv1.3',
  cipher: 'TLS_AES_256_GCM_SHA384',
  chain: [],
  verifyError: null,
  nameMatches: true,
  refusal: null,
};

/** As many fake servers as there are endpoints. */
export function setUpDoctor(
  endpointCount = 1,
  changes: Partial<KmsConnectionSettings> = {},
  /** Changes how connections are opened. */
  through: (connect: Connect) => Connect = (connect) => connect,
) {
  const clock = new FakeClock();
  const servers = Array.from({ length: endpointCount }, () => new FakeKms(clock));
  const endpoints = servers.map((_, i) => ({ host: `kms${i + 1}.example.com`, port: 5696 }));
  const [kms = new FakeKms(clock)] = servers;
  const interrupt = new AbortController();
  const settings = testSettings({ endpoints, ...changes });
  return {
    clock,
    kms,
    servers,
    interrupt,
    /** Lets time pass until the examination is over. */
    run: async (look: Handshake = GOOD_HANDSHAKE): Promise<Examination> => {
      const examined = examine(settings, {
        clock,
        wallNow: () => NOW_MS,
        signal: interrupt.signal,
        connector: (endpoint) => {
          const server = servers[endpoints.findIndex(({ host }) => host === endpoint.host)];
          if (server === undefined) throw new Error(`no server for ${endpoint.host}`);
          return through(server.connect);
        },
        look: async () => await Promise.resolve(look),
      });
      const progress = { settled: false };
      const watched = examined.finally(() => {
        progress.settled = true;
      });
      await settle();
      for (let step = 0; !progress.settled && step < 1000; step += 1) await clock.advance(100);
      return await watched;
    },
  };
}

/** Codes of the problems, in the report's order. */
export const problemsOf = ({ findings }: Examination): string[] =>
  findings.filter(({ severity }) => severity === 'Problem').map(({ code }) => code);

export const warningsOf = ({ findings }: Examination): string[] =>
  findings.filter(({ severity }) => severity === 'Warning').map(({ code }) => code);
