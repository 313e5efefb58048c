/** Protocol versions that we speak, by the names that the configuration uses. */
import type { ProtocolVersionName } from '../settings.ts';
import type { ProtocolVersion } from './messages.ts';

const VERSION_NAMES: readonly ProtocolVersionName[] = ['1.4', '1.3', '1.2', '1.1', '1.0'];

/** Headers in which Discover Versions is sent, in this order; the operation itself came with 1.1. */
export const DISCOVERY_HEADERS: readonly ProtocolVersion[] = [parseVersion('1.2'), parseVersion('1.1')];

export function parseVersion(name: ProtocolVersionName): ProtocolVersion {
  return { major: 1, minor: Number(name.slice(2)) };
}

export const versionName = ({ major, minor }: ProtocolVersion): string => `${major}.${minor}`;

/** All versions from max down to min. */
export function versionsWithin(range: {
  min: ProtocolVersionName;
  max: ProtocolVersionName;
}): ProtocolVersion[] {
  const lowest = parseVersion(range.min).minor;
  const highest = parseVersion(range.max).minor;
  return VERSION_NAMES.map(parseVersion).filter(({ minor }) => minor >= lowest && minor <= highest);
}

/** The highest version that is in both lists, or null. */
export function highestCommon(
  offered: readonly ProtocolVersion[],
  answered: readonly ProtocolVersion[],
): ProtocolVersion | null {
  const answeredNames = new Set(answered.map(versionName));
  return offered.find((version) => answeredNames.has(versionName(version))) ?? null;
}
