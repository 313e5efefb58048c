import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startAndAwaitLine } from './firstLine.ts';
import { endRecorded, Processes, recordedProcesses, stillComplete, stillRuns } from './processes.ts';

let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealgate-processes-'));
});

afterEach(async () => {
  await endRecorded(folder);
  await rm(folder, { recursive: true });
});

describe('the processes of a cluster', () => {
  it('are recorded, and ended by who knows the folder alone', async () => {
    const processes = new Processes(folder);
    const one = await processes.start('one', ['sleep', '1000']);
    const two = await processes.start('two', ['sleep', '1000']);
    expect(recordedProcesses(folder)).toEqual([one.identity, two.identity]);
    expect(stillComplete(folder)).toBe(true);
    await endRecorded(folder, { name: 'one' });
    expect([stillRuns(one.identity), stillRuns(two.identity)]).toEqual([false, true]);
    expect(stillComplete(folder)).toBe(false);
    await processes.start('one', ['sleep', '1000']);
    expect(stillComplete(folder)).toBe(true);
    await endRecorded(folder);
    expect(stillRuns(two.identity)).toBe(false);
  });

  it('are not taken for another process that has got the same number', async () => {
    const other = spawn('sleep', ['1000']);
    await once(other, 'spawn');
    const processes = new Processes(folder);
    const identity = processes.record('other', other.pid ?? 0);
    expect(stillRuns(identity)).toBe(true);
    expect(stillRuns({ ...identity, startedTicks: `${Number(identity.startedTicks) - 1}` })).toBe(false);
    expect(stillRuns({ ...identity, boot: 'another' })).toBe(false);
  });

  it('tell their first line, or what they said before they ended', async () => {
    const processes = new Processes(folder);
    const { line } = await startAndAwaitLine(processes, 'ready', ['sh', '-c', 'echo 42; exec sleep 1000']);
    expect(line).toBe('42');
    const broken = startAndAwaitLine(processes, 'broken', ['sh', '-c', 'echo why >&2']);
    await expect(broken).rejects.toMatchObject({ code: 'ended_early', message: 'broken ended\nwhy\n' });
  });

  it('reject when the program is not there', async () => {
    const missing = new Processes(folder).start('missing', [join(folder, 'missing')]);
    await expect(missing).rejects.toMatchObject({ code: 'ended_early' });
  });
});
