/** What GET /admin/v1/status tells. Field names are part of the admin API. */

export interface KmsEndpointStatus {
  readonly host: string;
  readonly port: number;
  /** 0 is used first. */
  readonly tier: number;
  /** Unknown until it was first asked. */
  readonly state: 'Unknown' | 'Up' | 'Down';
  readonly protocolVersion: string | null;
  readonly vendor: string | null;
  /** Why it is down, or in doubt. */
  readonly message: string | null;
}

export interface KmsConnectionStatus {
  readonly name: string;
  readonly cachedKeys: number;
  /** End of the client certificate's life. */
  readonly certificateNotAfter: string;
  readonly endpoints: readonly KmsEndpointStatus[];
}

/** The configuration in force, and the last one that was refused since it came into force. */
export interface ConfigStatus {
  readonly hash: string;
  readonly loadedAt: string;
  readonly refused: { readonly at: string; readonly problems: readonly string[] } | null;
}

export interface Status {
  readonly version: string;
  readonly installationId: string;
  readonly incarnation: string;
  readonly startedAt: string;
  readonly phase: string;
  readonly config: ConfigStatus;
  readonly kms: readonly KmsConnectionStatus[];
  readonly storage: {
    readonly metadata: { readonly engine: string; readonly freeBytes: number };
    readonly blobs: { readonly engine: string; readonly freeBytes: number };
  };
  readonly crypto: { readonly openssl: string; readonly aesNi: boolean | null };
  readonly workers: number;
}
