"""Sealgate's stored format, version 1, a second time: written from docs/format.md and from nothing else.

It shares no code with dataplane/crypto. Whatever the format refuses raises Refused.
"""

import hashlib
import hmac as std_hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ABSENT = b"\xff\xff\xff\xff"
ZERO_NONCE = bytes(12)
ALGORITHMS = {"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"}
TYPES = {"FULL_OBJECT", "COMPOSITE"}


class Refused(Exception):
    """The bytes are not what the format allows, or do not verify."""


class Group(tuple):
    """Several fields that are one field."""


def require(condition, why):
    if not condition:
        raise Refused(why)


# Encoding


def be32(number):
    require(isinstance(number, int) and 0 <= number < 2**32, "BE32")
    return number.to_bytes(4, "big")


def lp(value):
    return be32(len(value)) + value


def value_bytes(field):
    if isinstance(field, bool):
        return b"\x01" if field else b"\x00"
    if isinstance(field, int):
        require(0 <= field < 2**53, "integer")
        return field.to_bytes(8, "big")
    if isinstance(field, str):
        try:
            return field.encode("utf-8")
        except UnicodeEncodeError as error:
            raise Refused("text") from error
    if isinstance(field, bytes):
        return field
    if isinstance(field, Group):
        return enc(*field)
    if isinstance(field, list):
        return be32(len(field)) + b"".join(lp(enc(*entry)) for entry in field)
    if isinstance(field, dict):
        require(not any("A" <= c <= "Z" for name in field for c in name), "map name")
        pairs = sorted((value_bytes(name), value_bytes(value)) for name, value in field.items())
        return be32(len(pairs)) + b"".join(lp(name) + lp(value) for name, value in pairs)
    raise Refused(f"no such type of field: {type(field)}")


def enc(*fields):
    return b"".join(ABSENT if field is None else lp(value_bytes(field)) for field in fields)


def read_fields(data):
    """The raw values of all fields; None where absent."""
    fields = []
    while data:
        require(len(data) >= 4, "cut within a length")
        head, data = data[:4], data[4:]
        if head == ABSENT:
            fields.append(None)
            continue
        length = int.from_bytes(head, "big")
        require(length <= len(data), "cut within a value")
        fields.append(data[:length])
        data = data[length:]
    return fields


def read_exactly(data, count):
    fields = read_fields(data)
    require(len(fields) == count, "number of fields")
    return fields


def read_counted(value):
    require(value is not None and len(value) >= 4, "count")
    fields = read_fields(value[4:])
    require(None not in fields, "absent entry")
    return int.from_bytes(value[:4], "big"), fields


def read_list(value):
    count, entries = read_counted(value)
    require(count == len(entries), "count of a list")
    return entries


def read_text(value):
    require(value is not None, "absent text")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("text") from error


def read_map(value):
    count, fields = read_counted(value)
    require(2 * count == len(fields), "count of a map")
    names = fields[0::2]
    require(all(a < b for a, b in zip(names, names[1:])), "order of a map")
    pairs = {read_text(name): read_text(text) for name, text in zip(names, fields[1::2])}
    require(not any("A" <= c <= "Z" for name in pairs for c in name), "map name")
    return pairs


# Primitives


def hkdf(key, salt, info, length=32, algorithm=hashes.SHA256):
    return HKDF(algorithm=algorithm(), length=length, salt=salt or None, info=info).derive(key)


def hmac(key, message):
    return std_hmac.new(key, message, hashlib.sha256).digest()


def verify(expected, mac):
    require(std_hmac.compare_digest(expected, mac), "MAC")


def gcm_open(key, nonce, sealed, aad):
    require(len(sealed) >= 16, "shorter than a tag")
    try:
        return AESGCM(key).decrypt(nonce, sealed, aad)
    except InvalidTag as error:
        raise Refused("tag") from error


def seal_once(key, salt, label, plaintext, aad):
    return AESGCM(hkdf(key, salt, label)).encrypt(ZERO_NONCE, plaintext, aad)


def open_once(key, salt, label, sealed, aad):
    require(len(salt) == 32, "salt")
    return gcm_open(hkdf(key, salt, label), ZERO_NONCE, sealed, aad)


# Keys


def key_aad(purpose, bucket_uid, object_key, row_id, n):
    parts = ("sealgate/v1/key/" + purpose, bucket_uid, object_key, row_id)
    return b"".join(lp(value_bytes(part)) for part in parts) + be32(n)


def seal_key(bucket_key, binding, data_key, wrap_salt):
    require(len(data_key) == 32, "data key")
    return seal_once(bucket_key, wrap_salt, b"sealgate/v1/wrap", data_key, key_aad(*binding))


def open_key(bucket_key, binding, wrap_salt, sealed_key):
    require(len(sealed_key) == 48, "sealed key")
    return open_once(bucket_key, wrap_salt, b"sealgate/v1/wrap", sealed_key, key_aad(*binding))


def key_check_value(bucket_key):
    return hmac(bucket_key, b"sealgate/v1/kcv")[:8]


def mask_etag(bucket_key, wrap_salt, etag):
    require(len(wrap_salt) == 32 and len(etag) == 16, "lengths")
    list_key = hkdf(bucket_key, b"", b"sealgate/v1/list")
    block = Cipher(algorithms.AES(list_key), modes.ECB()).encryptor().update(wrap_salt[:16])
    return bytes(a ^ b for a, b in zip(etag, block))


def control_mac(installation_key, table, identifiers, document):
    key = hkdf(installation_key, b"", b"sealgate/v1/control")
    return hmac(key, lp(value_bytes(table)) + lp(enc(*identifiers)) + lp(document))


def seal_secret(installation_key, access_key_id, secret, secret_salt):
    aad = lp(value_bytes(access_key_id))
    return seal_once(installation_key, secret_salt, b"sealgate/v1/secret", value_bytes(secret), aad)


def open_secret(installation_key, access_key_id, secret_salt, sealed_secret):
    aad = lp(value_bytes(access_key_id))
    return read_text(open_once(installation_key, secret_salt, b"sealgate/v1/secret", sealed_secret, aad))


# Blob


def sizes(size, chunk_log2):
    require(chunk_log2 in (16, 17, 18, 19, 20), "chunk size")
    require(isinstance(size, int) and 0 <= size, "size")
    chunks = max(1, -(-size // 2**chunk_log2))
    stored = 72 + size + 16 * chunks
    require(stored < 2**53, "size")
    return chunks, stored


def chunk_range(size, chunk_log2, first, last):
    _, stored = sizes(size, chunk_log2)
    require(isinstance(first, int) and isinstance(last, int) and 0 <= first <= last < size, "range")
    chunk = 2**chunk_log2
    a, b = first // chunk, last // chunk
    return a, b, 72 + a * (chunk + 16), min(72 + (b + 1) * (chunk + 16), stored), first % chunk


def stream(data_key, suite, chunk_log2, salt):
    """The stream key and the header."""
    require(suite == 1, "suite")
    require(len(salt) == 32, "salt")
    prefix = b"SGB\x01" + bytes([suite, chunk_log2, 0, 0])
    derived = hkdf(data_key, salt, b"sealgate/v1/blob" + prefix, 64, hashes.SHA512)
    return derived[:32], prefix + salt + derived[32:]


def nonce(i, chunks):
    return i.to_bytes(11, "big") + (b"\x01" if i == chunks - 1 else b"\x00")


def seal_blob(data_key, chunk_log2, salt, plaintext):
    chunks, _ = sizes(len(plaintext), chunk_log2)
    key, header = stream(data_key, 1, chunk_log2, salt)
    step = 2**chunk_log2
    sealed = [AESGCM(key).encrypt(nonce(i, chunks), plaintext[i * step : (i + 1) * step], None) for i in range(chunks)]
    return header + b"".join(sealed)


def open_blob(data_key, suite, chunk_log2, salt, size, stored):
    chunks, stored_size = sizes(size, chunk_log2)
    key, header = stream(data_key, suite, chunk_log2, salt)
    require(len(stored) == stored_size, "stored size")
    require(std_hmac.compare_digest(stored[:72], header), "header")
    step = 2**chunk_log2 + 16
    body = stored[72:]
    return b"".join(gcm_open(key, nonce(i, chunks), body[i * step : (i + 1) * step], None) for i in range(chunks))


# Object record


def encode_private(md5, checksums, content_headers, user_metadata):
    require(len(md5) == 16, "MD5")
    return enc(md5, checksums, content_headers, user_metadata)


def decode_private(data):
    md5, checksums, content_headers, user_metadata = read_exactly(data, 4)
    require(md5 is not None and len(md5) == 16, "MD5")
    read = []
    for entry in read_list(checksums):
        algorithm, kind, value = read_exactly(entry, 3)
        algorithm, kind = read_text(algorithm), read_text(kind)
        require(algorithm in ALGORITHMS and kind in TYPES and value is not None, "checksum")
        read.append((algorithm, kind, value))
    return md5, read, read_map(content_headers), read_map(user_metadata)


def record_aad(public, record_salt):
    """`public`: the twelve fields of the table from format to partCount, then blob as (blobId, size, salt) or None."""
    *fields, blob = public
    require((blob is None) == (fields[-1] >= 1), "blob or parts")
    return enc("sealgate/v1/record", *fields, record_salt, None if blob is None else Group(blob))


def seal_record(data_key, public, private, record_salt):
    aad = record_aad(public, record_salt)
    return seal_once(data_key, record_salt, b"sealgate/v1/record", encode_private(*private), aad)


def open_record(data_key, public, record_salt, sealed):
    aad = record_aad(public, record_salt)
    return decode_private(open_once(data_key, record_salt, b"sealgate/v1/record", sealed, aad))


# Parts and uploads


def encode_digests(md5, checksum):
    require(len(md5) == 16, "MD5")
    return enc(md5, None if checksum is None else Group(checksum))


def decode_digests(data):
    md5, checksum = read_exactly(data, 2)
    require(md5 is not None and len(md5) == 16, "MD5")
    if checksum is None:
        return md5, None
    algorithm, value = read_exactly(checksum, 2)
    algorithm = read_text(algorithm)
    require(algorithm in ALGORITHMS and value is not None, "checksum")
    return md5, (algorithm, value)


def seal_digests(data_key, body_id, part_number, blob_id, digests, digest_salt):
    aad = enc(body_id, part_number, blob_id)
    return seal_once(data_key, digest_salt, b"sealgate/v1/digests", encode_digests(*digests), aad)


def open_digests(data_key, body_id, part_number, blob_id, digest_salt, sealed):
    aad = enc(body_id, part_number, blob_id)
    return decode_digests(open_once(data_key, digest_salt, b"sealgate/v1/digests", sealed, aad))


def part_mac(data_key, upload_id, part_number, size, blob_id, salt, digest_salt, digests):
    require(len(salt) == 32 and len(digest_salt) == 32, "salt")
    key = hkdf(data_key, upload_id.encode(), b"sealgate/v1/upload-part")
    return hmac(key, enc(part_number, size, blob_id, salt, digest_salt, digests))


def page_mac(data_key, body_id, page, entries):
    """`entries`: (part number, offset, size, blobId, blob salt, digestSalt, sealedDigests) of each part."""
    require(all(len(entry[4]) == 32 and len(entry[5]) == 32 for entry in entries), "salt")
    key = hkdf(data_key, body_id.encode(), b"sealgate/v1/parts")
    return hmac(key, enc(page, list(entries)))


def encode_maps(content_headers, user_metadata):
    return enc(content_headers, user_metadata)


def decode_maps(data):
    return tuple(read_map(value) for value in read_exactly(data, 2))


def seal_upload(data_key, fields, maps, upload_salt):
    """`fields`: uploadId to checksum type, in the order of the page."""
    return seal_once(data_key, upload_salt, b"sealgate/v1/upload", encode_maps(*maps), enc(*fields))


def open_upload(data_key, fields, upload_salt, sealed):
    return decode_maps(open_once(data_key, upload_salt, b"sealgate/v1/upload", sealed, enc(*fields)))
