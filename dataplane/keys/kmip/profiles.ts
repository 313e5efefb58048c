/**
 * What is known of the KMIP servers that Sealgate is used with, as data. The configuration names one; what it says itself
 * wins. Our tests run against PyKMIP only: what nobody has tried on a product stands on the careful side here.
 */
import type { ProtocolVersionName } from '../settings.ts';

export interface KmipProfile {
  /** Versions that may be negotiated, unless the configuration says otherwise. */
  readonly protocol: { readonly min: ProtocolVersionName; readonly max: ProtocolVersionName };
  /** State and key are asked for in two messages of one item each, not in one of two. */
  readonly separateMessages: boolean;
}

export const KMIP_PROFILES = {
  /** Any server that keeps to KMIP 1.1 to 1.4. */
  Generic: { protocol: { min: '1.1', max: '1.4' }, separateMessages: false },
  /** SafeNet/Gemalto KeySecure 8: the vendor's documents name KMIP 1.1, 1.2 and 1.3. */
  KeySecureClassic: { protocol: { min: '1.1', max: '1.3' }, separateMessages: true },
  /** Thales CipherTrust Manager, formerly the next generation of KeySecure. */
  CipherTrustManager: { protocol: { min: '1.1', max: '1.4' }, separateMessages: true },
  /** PyKMIP 0.10.0, for tests and trials. */
  PyKMIP: { protocol: { min: '1.0', max: '1.4' }, separateMessages: false },
} as const satisfies Readonly<Record<string, KmipProfile>>;

export type KmipProfileName = keyof typeof KMIP_PROFILES;

/** Names, for the configuration. */
export const KMIP_PROFILE_NAMES = Object.keys(KMIP_PROFILES) as KmipProfileName[];

/** The profile of that name, with the versions that the configuration names itself. */
export function profileWith(
  name: KmipProfileName,
  protocol: {
    readonly min?: ProtocolVersionName | undefined;
    readonly max?: ProtocolVersionName | undefined;
  },
): Pick<KmipProfile, 'protocol' | 'separateMessages'> {
  const profile: KmipProfile = KMIP_PROFILES[name];
  return {
    protocol: { min: protocol.min ?? profile.protocol.min, max: protocol.max ?? profile.protocol.max },
    separateMessages: profile.separateMessages,
  };
}
