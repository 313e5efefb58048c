/** A process of its own, because OpenSSL looks at its environment only when it starts: prints one measurement as JSON. */
import { measureCryptoSpeed } from './cryptoSpeed.ts';

const MEASURE_MS = 1000;

process.stdout.write(JSON.stringify(measureCryptoSpeed(MEASURE_MS)));
