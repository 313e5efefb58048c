/** The complete, commented configuration that `sealgate config example` prints. A test proves it valid. */
export const EXAMPLE = `# Sealgate configuration (JSON or YAML). Unknown fields are errors. Relative paths count from this file's folder.
# Secrets stand in files of their own, readable by Sealgate alone (chmod 600).
# Durations: 500ms, 30s, 5m, 1h30m, 0s. After a change, send SIGHUP or wait a few seconds: what is marked [live] takes
# effect at once; a change of anything else is refused until the restart, and the old file stays in force.
apiVersion: config.sealgate.io/v1
kind: DataPlane
revision: "1" # [live] optional: told back by the admin port's status, so that whoever writes this file knows what is in force

# Who this installation is. Fixed for ever once there is data.
installation:
  id: "6f0c2f6f3c1d4b0f9a5e8d7c6b5a4938" # openssl rand -hex 16, in quotes
  region: us-east-1
  keyFile: installation.key # openssl rand -hex 32 > installation.key; authenticates control rows: back it up

s3:
  listen: 127.0.0.1:9000 # host:port, IPv6 as [::]:9000; port 0 = any free one
  domains: [s3.example.com] # [live] optional: for virtual-host addressing, bucket.s3.example.com
  tls: # optional: HTTPS; the files' contents are [live]
    certFile: tls.crt # PEM, the server's certificate first, then its chain
    keyFile: tls.key

admin:
  listen: 127.0.0.1:9001
  tokenFile: admin.token # [live] openssl rand -hex 32 > admin.token; at least 32 characters; up to 4, one a line, all valid
  tls: # optional: HTTPS; the files' contents are [live]
    certFile: tls.crt
    keyFile: tls.key

# /livez, /readyz and /metrics, without authentication.
monitoring:
  listen: 127.0.0.1:9002

metadata:
  engine: sqlite
  path: data/metadata.db # on a local file system; losing it loses the encrypted data

blobs:
  engine: filesystem
  path: data/blobs

# [live] Where bucket keys are kept. Without one, only plain buckets can be made.
kmsConnections:
  - name: team-a/keysecure
    provider: KMIP
    kmip:
      endpoints: # 1 to 16 servers of one cluster: they keep the same keys
        - host: ks1.example.com
          port: 5696 # default 5696
          serverName: ks1.example.com # optional: the name in the server's certificate; default: host
          tier: 0 # optional: 1 to 15 are used only while no endpoint of a lower tier is up
      tls: # PEM; the certificate names the KMS user
        certFile: kms/client.crt
        keyFile: kms/client.key
        caFile: kms/ca.crt # trust for the server's certificate
      credentialsFile: kms/user.json # optional: {"username": ..., "password": ...}
      profile: KeySecureClassic # optional: Generic, KeySecureClassic, CipherTrustManager or PyKMIP
      protocol: { min: "1.1", max: "1.3" } # optional: KMIP versions that may be negotiated; default: those of profile
      keyNamePrefix: sealgate # optional: starts the name of every key
      objectGroup: true # optional: put keys into the Object Group of that name
      timeouts: { connect: 3s, request: 5s, total: 10s } # optional
    keyAccess: Fetch # optional: the key comes with KMIP Get
    cache:
      ttl: 5m # optional: how long a key serves before the KMS is asked again; 0s = ask on every request
      staleLimit: 1h # optional: how long it may still serve while the KMS cannot be reached; 0s = not at all

# [live] optional: one more connection per *.json or *.yaml file in this folder, each as above with an optional revision.
# Each is taken over or refused on its own: a broken one leaves its last good one, and all others, in force.
connectionsDir: connections/

defaultKmsConnection: team-a/keysecure # [live] optional: for buckets made over S3

rootCredentials:
  file: root.json # [live] {"accessKeyId": ..., "secretAccessKey": ...}

policy: # [live] optional
  plainBuckets: Allowed # Refused: every bucket must be encrypted
  copyToPlain: Allowed # Refused: no copies from encrypted into plain buckets

gc:
  grace: 24h # optional: how long unreferenced data is kept before the collector removes it

shutdownLimit: 40s # [live] optional: the process ends within this time after SIGTERM; requests in flight get at least two thirds

workers: auto # optional: S3 threads; auto = the cores of the machine or its cgroup

log:
  level: info # [live] optional: trace, debug, info, warn, error, fatal
`;
