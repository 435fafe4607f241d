// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Signed URLs, and what packages beside the client are looked for by. */

const { outcome } = require('../plain.cjs');

/** @typedef {import('../equivalence.cjs').Case} Case */

/**
 * A package that is not installed with every release, or undefined.
 * @param {string} name
 */
function optional(name) {
  try {
    return require(name);
  } catch {
    return undefined;
  }
}

/**
 * What a signed URL says of its call. Whose key it is signed with differs, and where it leads.
 * @param {string} text
 */
function told(text) {
  const { pathname, searchParams } = new URL(text);
  const fixed = ['X-Amz-Algorithm', 'X-Amz-Expires', 'X-Amz-SignedHeaders', 'x-id', 'versionId', 'partNumber', 'uploadId'];
  const names = [...searchParams.keys()].filter((name) => fixed.includes(name) || name.startsWith('response-'));
  return [pathname, names.sort().map((name) => [name, searchParams.get(name)])];
}

/** @type {Record<string, Case>} */
const CASES = {
  async presigned(s3, Bucket, sdk) {
    const signer = optional('@aws-sdk/s3-request-presigner');
    if (signer === undefined) {
      return 'not installed';
    }
    const seen = [];
    for (const [input, options] of [
      [{ Key: 'a b/ü' }, { expiresIn: 60 }],
      [
        {
          Key: 'x',
          VersionId: '1',
          ResponseContentType: 'text/plain',
          ResponseContentDisposition: 'attachment; filename="a b"',
        },
      ],
      [{ Key: 'x', PartNumber: 1 }, { expiresIn: 604_800 }],
    ]) {
      const command = new sdk.GetObjectCommand({ Bucket, ...input });
      seen.push(await outcome(async () => told(await signer.getSignedUrl(s3, command, options))));
    }
    const part = new sdk.UploadPartCommand({ Bucket, Key: 'x', UploadId: 'a/b', PartNumber: 2, ContentType: 'text/plain' });
    const create = new sdk.CreateMultipartUploadCommand({ Bucket, Key: 'x', ContentType: 'text/plain' });
    for (const command of [part, create, new sdk.AbortMultipartUploadCommand({ Bucket, Key: 'x', UploadId: 'a/b' })]) {
      seen.push(await outcome(async () => told(await signer.getSignedUrl(s3, command))));
    }
    return [...seen, signer.getSignedUrl.name, typeof signer.S3RequestPresigner];
  },

  async presignedOtherwise(s3, Bucket, sdk) {
    const signer = optional('@aws-sdk/s3-request-presigner');
    if (signer === undefined) {
      return 'not installed';
    }
    const command = new sdk.GetObjectCommand({ Bucket, Key: 'x' });
    const seen = [];
    for (const options of [
      { expiresIn: 604_801 },
      { expiresIn: 5, signingDate: new Date(0) },
      { unhoistableHeaders: new Set(['x']) },
    ]) {
      seen.push(await outcome(async () => told(await signer.getSignedUrl(s3, command, options))));
    }
    seen.push(await outcome(async () => told(await signer.getSignedUrl(s3, new sdk.ListBucketsCommand({})))));
    seen.push(await outcome(async () => told(await signer.getSignedUrl(s3, new sdk.GetObjectCommand({ Bucket })))));
    seen.push(await outcome(() => signer.getSignedUrl()), await outcome(() => signer.getSignedUrl(s3)));
    const ranged = new sdk.GetObjectCommand({ Bucket, Key: 'x', Range: 'bytes=0-1', IfMatch: '"a"' });
    seen.push(told(await signer.getSignedUrl(s3, ranged)));
    // A client that is real meanwhile.
    await outcome(() => s3.send(new sdk.GetBucketLocationCommand({ Bucket })));
    seen.push(told(await signer.getSignedUrl(s3, new sdk.HeadObjectCommand({ Bucket, Key: 'x' }))));
    return seen;
  },
};

module.exports = { CASES, optional, told };
