/** How a fleet is, in one word and one sentence. */

export type FleetReason =
  /** Every pod has the declared configuration in force. */
  | 'Ready'
  /** Written, but not yet in force on every pod. */
  | 'Progressing'
  /** The declared fleet is refused, and the last good one is kept; or the API server refuses one of its objects. */
  | 'FleetInvalid'
  /** There is data, but not the key to it. */
  | 'InstallationKeyMissing'
  /** A pod refuses the configuration and keeps the one before. */
  | 'ConfigRefused';

export interface FleetState {
  readonly reason: FleetReason;
  /** For people; no secret. */
  readonly message: string;
}

/** Why nothing more is done for the fleet until somebody changes something. */
export class FleetRefusal extends Error {
  readonly reason: 'FleetInvalid' | 'InstallationKeyMissing';
  constructor(reason: 'FleetInvalid' | 'InstallationKeyMissing', message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'FleetRefusal';
    this.reason = reason;
  }
}
