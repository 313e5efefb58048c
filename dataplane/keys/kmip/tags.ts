/**
 * Numbers of the KMIP 1.x specification that the client sends or reads: tags (section 9.1.3.1) and enumerations
 * (9.1.3.2). Names are the specification's.
 */

export const TAG = {
  attribute: 0x420008,
  attributeName: 0x42000a,
  attributeValue: 0x42000b,
  authentication: 0x42000c,
  batchCount: 0x42000d,
  batchItem: 0x42000f,
  batchOrderOption: 0x420010,
  blockCipherMode: 0x420011,
  credential: 0x420023,
  credentialType: 0x420024,
  credentialValue: 0x420025,
  cryptographicAlgorithm: 0x420028,
  cryptographicLength: 0x42002a,
  cryptographicParameters: 0x42002b,
  ivCounterNonce: 0x42003d,
  keyBlock: 0x420040,
  keyFormatType: 0x420042,
  keyMaterial: 0x420043,
  keyValue: 0x420045,
  keyWrappingData: 0x420046,
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
  tagLength: 0x4200ce,
} as const;

export const OPERATION = {
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

export type OperationName = keyof typeof OPERATION;

/** What the gateway depends on; Encrypt only tells the doctor how far a user's rights go. */
export const NEEDED_OPERATIONS = (Object.keys(OPERATION) as OperationName[]).filter(
  (name) => name !== 'Encrypt',
);

/** Object Type. */
export const SYMMETRIC_KEY = 0x02;
/** Cryptographic Algorithm. */
export const AES = 0x03;
/** Block Cipher Mode. */
export const CBC = 0x01;
export const GCM = 0x09;
/** Cryptographic Usage Mask: Encrypt | Decrypt. */
export const ENCRYPT_DECRYPT = 0x04 | 0x08;
/** Key Format Type. */
export const RAW = 0x01;
/** Name Type. */
export const UNINTERPRETED_TEXT_STRING = 0x01;
/** Credential Type. */
export const USERNAME_AND_PASSWORD = 0x01;
/** Revocation Reason Code: the key protects nothing more, and nothing is wrong with it. */
export const CESSATION_OF_OPERATION = 0x06;
/** Query Function. */
export const QUERY_OPERATIONS = 0x01;
export const QUERY_SERVER_INFORMATION = 0x03;
/** Result Status. */
export const SUCCESS = 0x00;

/** State (section 3.22). */
export const STATE = {
  preActive: 1,
  active: 2,
  deactivated: 3,
  compromised: 4,
  destroyed: 5,
  destroyedCompromised: 6,
} as const;
