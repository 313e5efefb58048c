"""boto3 as applications use it: put, get, managed multipart, ranges, listings, copies, batch deletes, presigned URLs.

Usage: boto3_round_trip.py BUCKET SMALL_FILE LARGE_FILE. The endpoint and the credentials come from boto3's own
environment variables. Leaves the objects "small" and "large" behind; ends with an AssertionError where bytes differ.
"""

import filecmp
import io
import sys
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

bucket, small_path, large_path = sys.argv[1:]
s3 = boto3.client("s3")
with open(small_path, "rb") as file:
    small = file.read()
with open(large_path, "rb") as file:
    large = file.read()

# Put and get, with metadata and content headers.
put = s3.put_object(Bucket=bucket, Key="small", Body=small, ContentType="text/x-test", Metadata={"colour": "blue"})
got = s3.get_object(Bucket=bucket, Key="small")
assert got["Body"].read() == small
assert got["ETag"] == put["ETag"]
assert got["ContentType"] == "text/x-test"
assert got["Metadata"] == {"colour": "blue"}

# Managed multipart from a file object, and back; ranges across part borders.
mebibyte = 1024 * 1024
multipart = TransferConfig(multipart_threshold=5 * mebibyte, multipart_chunksize=5 * mebibyte, max_concurrency=4)
with open(large_path, "rb") as file:
    s3.upload_fileobj(file, bucket, "large", Config=multipart)
back = io.BytesIO()
s3.download_fileobj(bucket, "large", back, Config=multipart)
assert back.getvalue() == large
head = s3.head_object(Bucket=bucket, Key="large")
assert head["ContentLength"] == len(large)
assert head["ETag"].strip('"').endswith(f"-{-(-len(large) // (5 * mebibyte))}")
for first, last in [(0, 0), (5 * mebibyte - 1, 5 * mebibyte), (mebibyte + 7, 11 * mebibyte + 3), (len(large) - 1, len(large) - 1)]:
    part = s3.get_object(Bucket=bucket, Key="large", Range=f"bytes={first}-{last}")
    assert part["Body"].read() == large[first : last + 1], (first, last)
assert s3.get_object(Bucket=bucket, Key="large", Range="bytes=-9")["Body"].read() == large[-9:]

# Copies: by one request, and managed (UploadPartCopy for a large source).
s3.copy_object(Bucket=bucket, Key="copied", CopySource={"Bucket": bucket, "Key": "small"})
assert s3.get_object(Bucket=bucket, Key="copied")["Body"].read() == small
s3.copy({"Bucket": bucket, "Key": "large"}, bucket, "copied-large", Config=multipart)
copied = io.BytesIO()
s3.download_fileobj(bucket, "copied-large", copied)
assert copied.getvalue() == large

# Listings in pages, names of every kind.
names = sorted(["many/%03d" % n for n in range(25)] + ["many/ü & <x>+%2F", "many/a//b", "many/../c"], key=lambda n: n.encode())
for name in names:
    s3.put_object(Bucket=bucket, Key=name, Body=name.encode())
pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="many/", PaginationConfig={"PageSize": 7})
assert [entry["Key"] for page in pages for entry in page.get("Contents", [])] == names
pages = s3.get_paginator("list_objects").paginate(Bucket=bucket, Prefix="many/", PaginationConfig={"PageSize": 7})
assert [entry["Key"] for page in pages for entry in page.get("Contents", [])] == names
top = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
assert [prefix["Prefix"] for prefix in top["CommonPrefixes"]] == ["many/"]
assert [entry["Key"] for entry in top["Contents"]] == ["copied", "copied-large", "large", "small"]
for name in names:
    assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == name.encode()

# Presigned URLs for reading and for writing.
with urllib.request.urlopen(s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "small"})) as answer:
    assert answer.read() == small
url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "presigned"})
with urllib.request.urlopen(urllib.request.Request(url, data=small, method="PUT")) as answer:
    assert answer.status == 200
assert s3.get_object(Bucket=bucket, Key="presigned")["Body"].read() == small

# Conditional writes, and a batch delete.
try:
    s3.put_object(Bucket=bucket, Key="small", Body=b"other", IfNoneMatch="*")
    raise AssertionError("If-None-Match: * replaced an object")
except ClientError as error:
    assert error.response["Error"]["Code"] == "PreconditionFailed", error
gone = names + ["copied", "copied-large", "presigned"]
deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": name} for name in gone]})
assert sorted(entry["Key"] for entry in deleted["Deleted"]) == sorted(gone), deleted
left = s3.list_objects_v2(Bucket=bucket)
assert [entry["Key"] for entry in left["Contents"]] == ["large", "small"]
s3.download_file(bucket, "large", "downloaded")
assert filecmp.cmp("downloaded", large_path, shallow=False)
