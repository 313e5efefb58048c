"""The vectors' operations on the second implementation.

Without arguments: one JSON request {"operation", "input"} per line on stdin, one answer per line on stdout,
{"output"} or {"refused": why}. With vector files as arguments: runs their cases and reports each that disagrees.
"""

import hashlib
import json
import sys

import second_implementation as s


def pattern(size):
    return bytes(i % 251 for i in range(size))


def bytes_of(text):
    return bytes.fromhex(text)


def field_of(field):
    ((kind, value),) = field.items()
    if kind == "bytes":
        return bytes_of(value)
    if kind == "absent":
        return None
    if kind == "list":
        return [[field_of(inner) for inner in entry] for entry in value]
    if kind == "map":
        return dict(value)
    return value


def binding_of(i):
    b = i["binding"]
    return b["purpose"], b["bucketUid"], bytes_of(b["objectKey"]), b["id"], b["n"]


def private_of(p):
    checksums = [[c["algorithm"], c["type"], bytes_of(c["value"])] for c in p["checksums"]]
    return bytes_of(p["md5"]), checksums, dict(p["contentHeaders"]), dict(p["userMetadata"])


def maps_json(content_headers, user_metadata):
    return {"contentHeaders": sorted_pairs(content_headers), "userMetadata": sorted_pairs(user_metadata)}


def sorted_pairs(pairs):
    return [list(pair) for pair in sorted(pairs.items(), key=lambda pair: pair[0].encode())]


def private_json(private):
    md5, checksums, *maps = private
    named = [{"algorithm": a, "type": t, "value": v.hex()} for a, t, v in checksums]
    return {"private": {"md5": md5.hex(), "checksums": named, **maps_json(*maps)}}


def public_of(p):
    names = ("format", "suite", "chunkLog2", "bucketUid", "objectKey", "versionId", "isNull", "lastModifiedMs")
    names += ("bodyId", "size", "partCount")
    fields = [bytes_of(p[name]) if name == "objectKey" else p[name] for name in names]
    blob = p["blob"]
    return *fields, None if blob is None else (blob["blobId"], blob["size"], bytes_of(blob["salt"]))


def upload_of(u):
    names = ("uploadId", "bucketUid", "key", "bodyId", "encrypted", "suite", "chunkLog2")
    names += ("checksumAlgorithm", "checksumType")
    return [bytes_of(u[name]) if name == "key" else u[name] for name in names]


def maps_of(meta):
    return dict(meta["contentHeaders"]), dict(meta["userMetadata"])


def digests_of(d):
    checksum = d["checksum"]
    return bytes_of(d["md5"]), None if checksum is None else (checksum["algorithm"], bytes_of(checksum["value"]))


def digests_json(digests):
    md5, checksum = digests
    named = None if checksum is None else {"algorithm": checksum[0], "value": checksum[1].hex()}
    return {"digests": {"md5": md5.hex(), "checksum": named}}


def part_binding_of(i):
    return i["binding"]["bodyId"], i["binding"]["partNumber"], i["binding"]["blobId"]


def sealed_part_of(p):
    return p["size"], p["blobId"], bytes_of(p["salt"]), bytes_of(p["digestSalt"]), bytes_of(p["digests"])


def part_mac(i):
    return s.part_mac(bytes_of(i["dataKey"]), i["uploadId"], i["part"]["partNumber"], *sealed_part_of(i["part"]))


def page_mac(i):
    entries = [(p["partNumber"], p["offset"], *sealed_part_of(p)) for p in i["entries"]]
    return s.page_mac(bytes_of(i["dataKey"]), i["bodyId"], i["page"], entries)


def control_mac(i):
    identifiers = [field_of(field) for field in i["identifiers"]]
    return s.control_mac(bytes_of(i["installationKey"]), i["table"], identifiers, bytes_of(i["document"]))


def checked(mac):
    def run(i):
        s.verify(mac(i), bytes_of(i["mac"]))
        return {}

    return run


def sizes(i):
    chunks, stored = s.sizes(i["sizeBytes"], i["chunkLog2"])
    return {"chunkCount": chunks, "storedSize": stored}


def chunk_range(i):
    names = ("firstChunk", "lastChunk", "storedStart", "storedEnd", "skip")
    return dict(zip(names, s.chunk_range(i["sizeBytes"], i["chunkLog2"], i["first"], i["last"])))


def sealed_pattern(i):
    return s.seal_blob(bytes_of(i["dataKey"]), i["chunkLog2"], bytes_of(i["salt"]), pattern(i["plaintextSize"]))


def describe_blob(i):
    stored = sealed_pattern(i)
    step = 2 ** i["chunkLog2"] + 16
    chunks = [stored[at : at + step] for at in range(72, len(stored), step)]
    sha256 = lambda data: hashlib.sha256(data).hexdigest()
    return {
        "header": stored[:72].hex(),
        "storedSize": len(stored),
        "storedSha256": sha256(stored),
        "chunks": [{"storedBytes": len(c), "tag": c[-16:].hex(), "storedSha256": sha256(c)} for c in chunks],
    }


def altered(stored, change):
    if "flipBit" in change:
        at, bit = divmod(change["flipBit"], 8)
        return stored[:at] + bytes([stored[at] ^ (1 << bit)]) + stored[at + 1 :]
    if "keepBytes" in change:
        return stored[: change["keepBytes"]]
    if "append" in change:
        return stored + bytes_of(change["append"])
    if "removeFrom" in change:
        return stored[: change["removeFrom"]] + stored[change["removeFrom"] + change["removeBytes"] :]
    (a, b), size = change["exchange"], change["exchangeBytes"]
    return stored[:a] + stored[b : b + size] + stored[a + size : b] + stored[a : a + size] + stored[b + size :]


def open_blob(i, stored):
    facts = bytes_of(i["dataKey"]), i["suite"], i["chunkLog2"], bytes_of(i["salt"]), i["plaintextSize"]
    return s.open_blob(*facts, stored)


def open_altered(i):
    stored = sealed_pattern(i["sealed"])
    for change in i["mutations"]:
        stored = altered(stored, change)
    return {"plaintextSha256": hashlib.sha256(open_blob(i["opened"], stored)).hexdigest()}


def hex_output(name, run):
    return lambda i: {name: run(i).hex()}


OPERATIONS = {
    "encode": hex_output("encoded", lambda i: s.enc(*[field_of(field) for field in i["fields"]])),
    "keyCheck": hex_output("keyCheckValue", lambda i: s.key_check_value(bytes_of(i["bucketKey"]))),
    "sealKey": hex_output(
        "sealedKey",
        lambda i: s.seal_key(bytes_of(i["bucketKey"]), binding_of(i), bytes_of(i["dataKey"]), bytes_of(i["wrapSalt"])),
    ),
    "openKey": hex_output(
        "dataKey",
        lambda i: s.open_key(bytes_of(i["bucketKey"]), binding_of(i), bytes_of(i["wrapSalt"]), bytes_of(i["sealedKey"])),
    ),
    "controlMac": hex_output("mac", control_mac),
    "verifyControlMac": checked(control_mac),
    "sealSecret": hex_output(
        "sealedSecret",
        lambda i: s.seal_secret(
            bytes_of(i["installationKey"]), i["accessKeyId"], i["secret"], bytes_of(i["secretSalt"])
        ),
    ),
    "openSecret": lambda i: {
        "secret": s.open_secret(
            bytes_of(i["installationKey"]), i["accessKeyId"], bytes_of(i["secretSalt"]), bytes_of(i["sealedSecret"])
        )
    },
    "maskEtag": hex_output(
        "masked", lambda i: s.mask_etag(bytes_of(i["bucketKey"]), bytes_of(i["wrapSalt"]), bytes_of(i["etag"]))
    ),
    "sizes": sizes,
    "range": chunk_range,
    "sealBlob": hex_output(
        "stored",
        lambda i: s.seal_blob(bytes_of(i["dataKey"]), i["chunkLog2"], bytes_of(i["salt"]), bytes_of(i["plaintext"])),
    ),
    "describeBlob": describe_blob,
    "openBlob": hex_output("plaintext", lambda i: open_blob(i, bytes_of(i["stored"]))),
    "openAltered": open_altered,
    "encodePrivate": hex_output("encoded", lambda i: s.encode_private(*private_of(i["private"]))),
    "decodePrivate": lambda i: private_json(s.decode_private(bytes_of(i["encoded"]))),
    "sealRecord": hex_output(
        "sealedRecord",
        lambda i: s.seal_record(
            bytes_of(i["dataKey"]), public_of(i["public"]), private_of(i["private"]), bytes_of(i["recordSalt"])
        ),
    ),
    "openRecord": lambda i: private_json(
        s.open_record(
            bytes_of(i["dataKey"]), public_of(i["public"]), bytes_of(i["recordSalt"]), bytes_of(i["sealedRecord"])
        )
    ),
    "encodeUploadMeta": hex_output("encoded", lambda i: s.encode_maps(*maps_of(i["meta"]))),
    "decodeUploadMeta": lambda i: {"meta": maps_json(*s.decode_maps(bytes_of(i["encoded"])))},
    "sealUploadMeta": hex_output(
        "sealedMeta",
        lambda i: s.seal_upload(
            bytes_of(i["dataKey"]), upload_of(i["upload"]), maps_of(i["meta"]), bytes_of(i["uploadSalt"])
        ),
    ),
    "openUploadMeta": lambda i: {
        "meta": maps_json(
            *s.open_upload(
                bytes_of(i["dataKey"]), upload_of(i["upload"]), bytes_of(i["uploadSalt"]), bytes_of(i["sealedMeta"])
            )
        )
    },
    "encodeDigests": hex_output("encoded", lambda i: s.encode_digests(*digests_of(i["digests"]))),
    "decodeDigests": lambda i: digests_json(s.decode_digests(bytes_of(i["encoded"]))),
    "sealDigests": hex_output(
        "sealedDigests",
        lambda i: s.seal_digests(
            bytes_of(i["dataKey"]), *part_binding_of(i), digests_of(i["digests"]), bytes_of(i["digestSalt"])
        ),
    ),
    "openDigests": lambda i: digests_json(
        s.open_digests(
            bytes_of(i["dataKey"]), *part_binding_of(i), bytes_of(i["digestSalt"]), bytes_of(i["sealedDigests"])
        )
    ),
    "partMac": hex_output("mac", part_mac),
    "verifyPartMac": checked(part_mac),
    "pageMac": hex_output("mac", page_mac),
    "verifyPageMac": checked(page_mac),
}


def run_vectors(paths):
    """Prints what disagrees and a count; returns how many cases disagreed."""
    agreed = wrong = 0
    for path in paths:
        with open(path, encoding="utf-8") as file:
            vectors = json.load(file)
        for case in vectors["cases"] + vectors["mustFail"]:
            try:
                output = OPERATIONS[case["operation"]](case["input"])
            except s.Refused:
                output = None
            if output == case.get("output"):
                agreed += 1
            else:
                wrong += 1
                print(f"{path}: {case['operation']}: {case['name']}: {output}")
    print(f"{agreed} cases agree, {wrong} do not")
    return wrong


def serve():
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"output": OPERATIONS[request["operation"]](request["input"])}
        except s.Refused as why:
            answer = {"refused": str(why)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(1 if run_vectors(sys.argv[1:]) else 0)
    serve()
