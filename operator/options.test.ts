import { describe, expect, test } from 'vitest';
import { OPTIONS_HELP, OptionsError, parseOptions } from './options.ts';

const POD = { POD_NAMESPACE: 'sealgate-system', POD_NAME: 'sealgate-operator-abc', KUBECONFIG: '' };

describe('the options', () => {
  test('of a pod need no flags', () => {
    expect(parseOptions([], POD)).toEqual({
      namespace: 'sealgate-system',
      name: 'sealgate',
      watchNamespaces: undefined,
      lease: { durationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 },
      healthListen: { host: '', port: 9_003 },
      kubeconfig: undefined,
      identity: 'sealgate-operator-abc',
      logLevel: 'info',
    });
  });

  test('are all settable', () => {
    const args = [
      '--namespace=a',
      '--name=b',
      '--watch-namespaces=x,y,x',
      '--lease-duration=2s',
      '--renew-deadline=1500ms',
      '--retry-period=400ms',
      '--health-listen=[::]:1',
      '--kubeconfig=/k',
      '--identity=me',
      '--log-level=debug',
    ];
    expect(parseOptions(args, POD)).toEqual({
      namespace: 'a',
      name: 'b',
      watchNamespaces: ['x', 'y'],
      lease: { durationMs: 2_000, renewDeadlineMs: 1_500, retryMs: 400 },
      healthListen: { host: '::', port: 1 },
      kubeconfig: '/k',
      identity: 'me',
      logLevel: 'debug',
    });
    for (const arg of args) expect(OPTIONS_HELP).toContain(`${arg.split('=')[0]} `);
  });

  test('an empty list of namespaces means all; without a pod there is an identity and KUBECONFIG counts', () => {
    const options = parseOptions(['--watch-namespaces', '', '--namespace', 'a'], { KUBECONFIG: '/k' });
    expect(options.watchNamespaces).toBeUndefined();
    expect(options.kubeconfig).toBe('/k');
    expect(options.identity).toContain(String(process.pid));
  });

  test.each([
    [['--unknown=1'], '--unknown'],
    [['extra'], 'extra'],
    [['--name', 'Upper'], '--name: must be a DNS label'],
    [['--watch-namespaces', 'a,,b'], '--watch-namespaces'],
    [['--lease-duration', 'soon'], '--lease-duration: must be a duration'],
    [['--lease-duration', '10s'], '--lease-duration must be longer than --renew-deadline'],
    [['--retry-period', '9s'], '1.2 times --retry-period'],
    [['--health-listen', '9003'], '--health-listen: must be host:port'],
    [['--health-listen', ':99999'], '--health-listen: must be host:port'],
    [['--log-level', 'loud'], '--log-level'],
  ])('%j is refused', (args, message) => {
    expect(() => parseOptions(args, POD)).toThrow(OptionsError);
    expect(() => parseOptions(args, POD)).toThrow(message);
  });

  test('a namespace is needed', () => {
    expect(() => parseOptions([], {})).toThrow('--namespace');
  });
});
