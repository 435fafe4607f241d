// SPDX-License-Identifier: Apache-2.0
'use strict';

/** The packages beside the client: uploads, and signed URLs. */

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
  const fixed = ['X-Amz-Algorithm', 'X-Amz-Expires', 'X-Amz-SignedHeaders', 'x-id', 'versionId', 'partNumber'];
  const names = [...searchParams.keys()].filter((name) => fixed.includes(name) || name.startsWith('response-'));
  return [pathname, names.sort().map((name) => [name, searchParams.get(name)])];
}

/** @type {Record<string, Case>} */
const CASES = {
  async uploads(s3, Bucket) {
    const storage = optional('@aws-sdk/lib-storage');
    if (storage === undefined) {
      return 'not installed';
    }
    const seen = [];
    for (const [Key, Body] of [
      ['a/b ü.txt', 'täxt'],
      ['bytes', new Uint8Array([1, 2])],
      ['empty', ''],
      ['whole', Buffer.alloc(5 * 1024 * 1024, 'x')],
    ]) {
      const upload = new storage.Upload({ client: s3, params: { Bucket, Key, Body, ContentType: 'text/plain' } });
      upload.on('httpUploadProgress', (/** @type {unknown} */ progress) => seen.push(progress));
      seen.push(await outcome(() => upload.done()), upload instanceof storage.Upload, upload.constructor.name);
    }
    const { EventEmitter } = require('node:events');
    const upload = new storage.Upload({ client: s3, params: { Bucket, Key: 'x', Body: 'x' }, queueSize: 2, tags: [] });
    seen.push(
      upload.listenerCount('httpUploadProgress'),
      upload instanceof EventEmitter,
      upload.on('other', () => {}) === upload,
    );
    return [...seen, await upload.done(), upload.listenerCount('other')];
  },

  async uploadsOfParts(s3, Bucket) {
    const storage = optional('@aws-sdk/lib-storage');
    if (storage === undefined) {
      return 'not installed';
    }
    const { Readable } = require('node:stream');
    const large = new storage.Upload({ client: s3, params: { Bucket, Key: 'large', Body: Buffer.alloc(6_000_000, 'x') } });
    /** @type {unknown[]} */
    const seen = [Object.keys(await large.done()).sort()];
    for (const options of [
      { client: s3, params: { Bucket, Key: 'stream', Body: Readable.from(['a', 'b']) } },
      { client: s3, params: { Bucket, Key: 'length', Body: 'text', ContentLength: 4 } },
      { client: s3, params: { Bucket, Key: 'tags', Body: 'text' }, tags: [{ Key: 'a', Value: 'b' }] },
      { client: s3, params: { Bucket, Key: 'none' } },
      { client: s3 },
      { client: s3, params: { Bucket, Key: 'small', Body: 'x' }, partSize: 5 },
      { params: { Bucket, Key: 'x', Body: 'x' } },
      {},
    ]) {
      seen.push(await outcome(() => new storage.Upload(options).done()));
    }
    return seen;
  },

  async uploadsLookedAt(s3, Bucket) {
    const storage = optional('@aws-sdk/lib-storage');
    if (storage === undefined) {
      return 'not installed';
    }
    const make = (/** @type {object} */ more) =>
      new storage.Upload({ client: s3, params: { Bucket, Key: 'x', Body: 'x' }, ...more });
    const looked = make({});
    const result = await looked.done();
    const seen = [result, looked.isMultiPart, looked.params.Key, looked.totalBytes, await outcome(() => looked.done())];
    const before = make({});
    await before.abort();
    const during = make({});
    const done = outcome(() => during.done());
    during.abort();
    const controller = new AbortController();
    controller.abort();
    return [
      ...seen,
      await outcome(() => before.done()),
      await done,
      await outcome(() => make({ abortController: controller }).done()),
    ];
  },

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
