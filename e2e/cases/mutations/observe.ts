/** Reads an object whose storage was tampered with, and judges every answer by what was once committed. */
import type { Sealgate } from '../../harness/sealgate.ts';
import { type RawAnswer, type RawRequest, send } from '../../harness/signedRequest.ts';
import type { Random } from './random.ts';
import { pathOf, type Specimen } from './specimens.ts';

/** refused: 500 before any byte; cut: the connection ended early; gone: 404. */
export type Outcome = 'bytes' | 'refused' | 'cut' | 'gone';

/** An answer that must never be given; the message tells what to repeat. */
class WrongAnswer extends Error {}

/** Counts what the metric has to have counted. */
export class Observer {
  readonly #server: Sealgate;
  /** 500 answers and cut connections. */
  failures = 0;
  requests = 0;
  /** x-amz-request-id of each. */
  readonly failedIds: string[] = [];

  constructor(server: Sealgate) {
    this.#server = server;
  }

  /** Sends any request and keeps account of failures. */
  async send(request: RawRequest): Promise<RawAnswer> {
    this.requests += 1;
    const answer = await send(this.#server, request);
    if (answer.status === 500 || answer.cut) {
      this.failures += 1;
      this.failedIds.push(answer.headers['x-amz-request-id'] ?? '');
    }
    return answer;
  }

  /** GET of the whole object. */
  async whole(specimen: Specimen): Promise<Outcome> {
    const answer = await this.send({ method: 'GET', path: pathOf(specimen) });
    return judge(specimen, answer, 200, (version) => version);
  }

  /** GET of a range somewhere in the object. */
  async range(specimen: Specimen, random: Random): Promise<Outcome> {
    const size = specimen.versions.at(-1)?.length ?? 0;
    const first = random.int(size);
    const last = Math.min(size - 1, first + random.int(random.pick([1, 1000, 200_000])));
    const headers = [['range', `bytes=${first}-${last}`]] as const;
    const answer = await this.send({ method: 'GET', path: pathOf(specimen), headers });
    return judge(specimen, answer, 206, (version) => version.subarray(first, last + 1));
  }

  /** GET of one part; objects that were put whole are their own part 1. */
  async part(specimen: Specimen, partNumber: number): Promise<Outcome> {
    const sizes = specimen.partSizes;
    const start = sizes.slice(0, partNumber - 1).reduce((sum, size) => sum + size, 0);
    const end = start + (sizes[partNumber - 1] ?? 0);
    const query = [['partNumber', String(partNumber)]] as const;
    const answer = await this.send({ method: 'GET', path: pathOf(specimen), query });
    return judge(specimen, answer, 206, (version) => version.subarray(start, end));
  }

  async head(specimen: Specimen): Promise<Outcome> {
    const answer = await this.send({ method: 'HEAD', path: pathOf(specimen) });
    if (answer.status !== 200) return refusalOf(specimen, answer);
    const lengths = specimen.versions.map((version) => String(version.length));
    if (!lengths.includes(answer.headers['content-length'] ?? '')) {
      throw new WrongAnswer(`HEAD of ${specimen.key} tells a length that it never had`);
    }
    requireHeaders(specimen, answer, specimen.etags);
    return 'bytes';
  }
}

function judge(
  specimen: Specimen,
  answer: RawAnswer,
  success: 200 | 206,
  sliceOf: (version: Buffer) => Buffer,
): Outcome {
  if (answer.status !== success) return refusalOf(specimen, answer);
  const { body, cut } = answer;
  const same = specimen.etags.filter((_, index) => {
    const slice = sliceOf(specimen.versions[index] ?? Buffer.alloc(0));
    return cut ? slice.subarray(0, body.length).equals(body) : slice.equals(body);
  });
  if (same.length === 0) throw new WrongAnswer(`${specimen.key} was answered with bytes that it never had`);
  requireHeaders(specimen, answer, same);
  return cut ? 'cut' : 'bytes';
}

function refusalOf(specimen: Specimen, { status, code, cut, body }: RawAnswer): Outcome {
  if (status === 404) return 'gone';
  if (status === 500 && !cut && (code === 'InternalError' || body.length === 0)) return 'refused';
  throw new WrongAnswer(`${specimen.key} was answered ${status} ${code}${cut ? ', cut' : ''}`);
}

function requireHeaders(specimen: Specimen, { headers }: RawAnswer, etags: readonly string[]): void {
  const told = headers['x-amz-server-side-encryption'];
  if (told !== (specimen.encrypted ? 'AES256' : undefined)) {
    throw new WrongAnswer(`${specimen.key} says of its encryption: ${told}`);
  }
  if (!etags.includes(headers['etag'] ?? '')) {
    throw new WrongAnswer(`${specimen.key} has the ETag ${headers['etag']}`);
  }
}
