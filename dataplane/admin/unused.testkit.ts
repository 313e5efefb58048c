/** Administrations that nobody asks for anything. */
import type { AccessKeyAdministration } from './accessKeyAdministration.ts';
import type { KeyAdministration } from './keyAdministration.ts';

const unused = (): Promise<never> => Promise.reject(new Error('not asked for here'));

export const unusedAdministration: KeyAdministration = {
  buckets: unused,
  bucket: unused,
  declare: unused,
  remove: unused,
  rotate: unused,
  reencrypt: unused,
  reencryption: unused,
  setRotation: unused,
  keys: unused,
  destroyKey: unused,
  connectionUse: unused,
  epoch: unused,
  takeEpoch: unused,
};

export const unusedAccessKeys: AccessKeyAdministration = {
  accessKeys: unused,
  accessKey: unused,
  putAccessKey: unused,
  deleteAccessKey: unused,
};
