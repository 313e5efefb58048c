/**
 * What the key holder needs to know about one KMS connection. The config loader builds it; nothing here reads files.
 */

/** A KMIP protocol version of the 1.x line, as the configuration writes it. */
export type ProtocolVersionName = '1.0' | '1.1' | '1.2' | '1.3' | '1.4';

export interface KmsEndpoint {
  readonly host: string;
  readonly port: number;
  /** The name that the server's certificate must carry, when it is not `host`. */
  readonly serverName?: string;
  /** 0 (the default) is used first; a higher tier only when no endpoint of a lower one is up. */
  readonly tier?: number;
}

export interface KmsConnectionSettings {
  readonly name: string;
  /** One to sixteen servers that keep the same keys. */
  readonly endpoints: readonly KmsEndpoint[];
  /** PEM texts. `key` is a secret: it must not reach a log. */
  readonly tls: { readonly cert: string; readonly key: string; readonly ca: string };
  /** An optional KMIP Credential of type Username and Password; must name the certificate's user. */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** The lowest and the highest version that may be negotiated. */
  readonly protocol: { readonly min: ProtocolVersionName; readonly max: ProtocolVersionName };
  /** State and key are asked for in two messages of one item each; default: in one message of two. */
  readonly separateMessages?: boolean;
  /** Starts the name of every key that is created; [A-Za-z0-9._-]. */
  readonly keyNamePrefix: string;
  /** Whether Create carries an Object Group attribute (the prefix). */
  readonly objectGroup: boolean;
  readonly timeouts: { readonly connectMs: number; readonly requestMs: number; readonly totalMs: number };
  readonly cache: {
    /** How long a fetched key serves before the KMS is asked again; 0 = ask on every call. */
    readonly ttlMs: number;
    /** How long after its last fetch a key may still serve while the KMS cannot be reached; 0 = not at all. */
    readonly staleLimitMs: number;
  };
}
