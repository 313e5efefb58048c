/** Numbers of KMIP 1.x that the scripted server reads and sends (section 9.1.3), taken from the specification anew. */

export const T = {
  activationDate: 0x420001,
  attribute: 0x420008,
  attributeName: 0x42000a,
  attributeValue: 0x42000b,
  authentication: 0x42000c,
  batchCount: 0x42000d,
  batchItem: 0x42000f,
  blockCipherMode: 0x420011,
  credential: 0x420023,
  credentialValue: 0x420025,
  cryptographicAlgorithm: 0x420028,
  cryptographicLength: 0x42002a,
  cryptographicParameters: 0x42002b,
  ivCounterNonce: 0x42003d,
  keyBlock: 0x420040,
  keyFormatType: 0x420042,
  keyMaterial: 0x420043,
  keyValue: 0x420045,
  maximumItems: 0x42004f,
  nameType: 0x420054,
  nameValue: 0x420055,
  objectType: 0x420057,
  operation: 0x42005c,
  protocolVersion: 0x420069,
  protocolVersionMajor: 0x42006a,
  protocolVersionMinor: 0x42006b,
  queryFunction: 0x420074,
  requestHeader: 0x420077,
  requestMessage: 0x420078,
  requestPayload: 0x420079,
  responseHeader: 0x42007a,
  responseMessage: 0x42007b,
  responsePayload: 0x42007c,
  resultMessage: 0x42007d,
  resultReason: 0x42007e,
  resultStatus: 0x42007f,
  revocationReason: 0x420081,
  revocationReasonCode: 0x420082,
  symmetricKey: 0x42008f,
  templateAttribute: 0x420091,
  timeStamp: 0x420092,
  uniqueBatchItemId: 0x420093,
  uniqueIdentifier: 0x420094,
  username: 0x420099,
  vendorIdentification: 0x42009d,
  password: 0x4200a1,
  data: 0x4200c2,
  randomIv: 0x4200c5,
  tagLength: 0x4200ce,
  authenticatedEncryptionAdditionalData: 0x4200fe,
  authenticatedEncryptionTag: 0x4200ff,
} as const;

/** Operation (section 9.1.3.2.27); the server knows these. */
export const OPERATIONS = {
  Create: 0x01,
  Locate: 0x08,
  Get: 0x0a,
  GetAttributes: 0x0b,
  Activate: 0x12,
  Revoke: 0x13,
  Destroy: 0x14,
  Query: 0x18,
  DiscoverVersions: 0x1e,
  Encrypt: 0x1f,
} as const;

export type Operation = keyof typeof OPERATIONS;

export function operationOf(code: number): Operation | null {
  for (const name of Object.keys(OPERATIONS) as Operation[]) if (OPERATIONS[name] === code) return name;
  return null;
}

/** Result Reason (section 9.1.3.2.29, and those of KMIP 2.0 that 1.x servers send already). */
export const REASON = {
  itemNotFound: 0x01,
  authenticationNotSuccessful: 0x03,
  invalidMessage: 0x04,
  operationNotSupported: 0x05,
  missingData: 0x06,
  invalidField: 0x07,
  featureNotSupported: 0x08,
  illegalOperation: 0x0b,
  permissionDenied: 0x0c,
  objectArchived: 0x0d,
  keyFormatTypeNotSupported: 0x10,
  keyValueNotPresent: 0x13,
  sensitive: 0x16,
  notExtractable: 0x17,
  internalServerError: 0x2a,
  objectDestroyed: 0x36,
  objectNotFound: 0x37,
  notAuthorised: 0x39,
  serverLimitExceeded: 0x3a,
  wrongKeyLifecycleState: 0x43,
  generalFailure: 0x100,
} as const;

/** State (section 9.1.3.2.18). */
export const STATES = {
  preActive: 1,
  active: 2,
  deactivated: 3,
  compromised: 4,
  destroyed: 5,
  destroyedCompromised: 6,
} as const;

export const SYMMETRIC_KEY = 2;
export const AES = 3;
export const RAW = 1;
/** Block Cipher Mode. */
export const GCM = 9;
